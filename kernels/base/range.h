// This is a range of rows, heads, features or ranks.
#pragma once

#include <cstdint>

namespace subgen {

// [first, first + count)
struct Range {
  int64_t first = 0;
  int64_t count = 0;
  int64_t end() const { return first + count; }
};

}  // namespace subgen
