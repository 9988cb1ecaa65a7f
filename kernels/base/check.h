// Bugs and lost devices end the whole job through one handler. What a user can
// fix is an absl::Status instead.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"

namespace subgen {

// Calls the fatal handler (default: prints the message and aborts).
[[noreturn]] void Fatal(const std::string& message);

// Ends the job for want of memory: `bytes` more were asked for, -1: unknown.
[[noreturn]] void OutOfMemory(int64_t bytes);

// Replaces the handler, which must not return. launch/bring_up installs one
// that aborts every rank. Not thread-safe: call before any thread starts.
void SetFatalHandler(std::function<void(const std::string&)> handler);

}  // namespace subgen

// Ends the job when `condition` is false; the rest is put into the message.
#define SUBGEN_CHECK(condition, ...)                                    \
  do {                                                                  \
    if (!(condition)) [[unlikely]] {                                    \
      ::subgen::Fatal(::absl::StrCat(__FILE__, ":", __LINE__,           \
                                     ": check failed: " #condition " ", \
                                     ##__VA_ARGS__));                   \
    }                                                                   \
  } while (false)
