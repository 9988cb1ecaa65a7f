// This is a cache that a toy model's short text overflows.
#pragma once

#include <string>

#include "engine/config/engine_config.h"

namespace subgen {

inline CacheConfig SmallCache(const std::string& policy,
                              const std::string& row_format) {
  CacheConfig cache;
  cache.policy = policy;
  cache.row_format = row_format;
  cache.budget_tokens = 32;
  cache.sink_tokens = 2;
  cache.recent_tokens = 10;
  cache.recent_fraction = 0.0;
  return cache;
}

}  // namespace subgen
