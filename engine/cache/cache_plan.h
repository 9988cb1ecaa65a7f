// A plan says what one slot of a layer may hold on this token shard.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cache/rows/row_store.h"
#include "engine/cache/rows/window.h"

namespace subgen {

// The limits say how many rows each KV head may hold outside its window.
struct HeadLimits {
  int64_t after = 0;          // from the token on that is the (after + 1)th
  std::vector<int64_t> rows;  // [kv_heads]
};

struct CachePlan {
  RowLayout layout;
  WindowShape window;
  // This is the mean over KV heads; if it is 0, nothing leaves the window.
  int64_t sketch_rows = 0;
  std::vector<HeadLimits> limits;  // ascending, the first from 0

  // Returns the limits of the time when `entered` tokens left the window.
  const HeadLimits& LimitsAt(int64_t entered) const;
};

}  // namespace subgen
