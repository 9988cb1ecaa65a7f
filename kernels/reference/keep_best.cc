#include "kernels/reference/keep_best.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace subgen::reference {
namespace {

float Ordered(float score) {
  return std::isnan(score) ? std::numeric_limits<float>::infinity() : score;
}

int64_t Lowest(const KeepBestTask& task, int64_t held) {
  int64_t lowest = 0;
  for (int64_t i = 1; i < held; ++i) {
    const float own = Ordered(task.scores[i]);
    const float least = Ordered(task.scores[lowest]);
    if (own < least ||
        (own == least && task.positions[i] < task.positions[lowest])) {
      lowest = i;
    }
  }
  return lowest;
}

void MoveRow(const KeepBestTask& task, int64_t from, int64_t to) {
  if (from == to) return;
  const int64_t bytes = task.row_bytes();
  std::memcpy(task.keys + to * bytes, task.keys + from * bytes, bytes);
  std::memcpy(task.values + to * bytes, task.values + from * bytes, bytes);
  task.scores[to] = task.scores[from];
  task.positions[to] = task.positions[from];
}

void SetRow(const KeepBestTask& task, int64_t token, int64_t to) {
  const int64_t bytes = task.row_bytes();
  std::memcpy(task.keys + to * bytes, task.token_keys.row(token), bytes);
  std::memcpy(task.values + to * bytes, task.token_values.row(token), bytes);
  task.scores[to] = task.token_scores[token];
  task.positions[to] = static_cast<int32_t>(task.token_positions[token]);
}

}  // namespace

void KeepBest(const KeepBestTask& task) {
  Check(task);
  int64_t held = task.held;
  for (; held > task.limit; --held) {
    MoveRow(task, held - 1, Lowest(task, held));
  }
  for (int64_t i = 0; i < task.tokens(); ++i) {
    if (held < task.limit) {
      SetRow(task, i, held++);
      continue;
    }
    const int64_t lowest = Lowest(task, held);
    if (!(Ordered(task.token_scores[i]) < Ordered(task.scores[lowest]))) {
      SetRow(task, i, lowest);
    }
  }
}

}  // namespace subgen::reference
