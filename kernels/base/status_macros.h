// These macros return early on an absl::Status that is an error.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SUBGEN_CONCAT_INNER(a, b) a##b
#define SUBGEN_CONCAT(a, b) SUBGEN_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                                           \
  do {                                                                        \
    if (::absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

// Use: ASSIGN_OR_RETURN(auto value, MayFail());
#define ASSIGN_OR_RETURN(target, expression) \
  SUBGEN_ASSIGN_OR_RETURN(SUBGEN_CONCAT(result_, __LINE__), target, expression)
#define SUBGEN_ASSIGN_OR_RETURN(result, target, expression) \
  auto result = (expression);                               \
  if (!result.ok()) return std::move(result).status();      \
  target = *std::move(result)
