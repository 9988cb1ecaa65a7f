#include "kernels/cpu/cache/k_center.h"

#include <algorithm>
#include <numeric>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/cache/k_center.cc"
#include "kernels/cpu/simd/simd.h"
// The order matters: the targets come first, then this file once for each of
// them, then the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/cache/k_center_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// The distances of so many tokens are computed together, so that each center is
// read once for all of them. The tokens and the centers of a head of 1,024 rows
// stay in a second-level cache.
constexpr int64_t kTogether = 32;

// This is the memory of a task of at most kTogether tokens: the distances of
// all of them, and scratch for the choices. The scratch of the two phases is
// one, as they follow one another.
class TogetherMemory {
 public:
  static int64_t Floats(const CenterTask& task) {
    const int64_t tokens = task.tokens();
    return 2 * tokens * task.centers.dim + Scratch(task) +
           3 * tokens * (task.most_rows() + tokens);
  }
  TogetherMemory(const CenterTask& task, float* memory)
      : scratch(memory), memory_(memory + Scratch(task)) {}

  Matrix<float> Take(int64_t rows, int64_t cols) {
    float* const taken = memory_;
    memory_ += rows * cols;
    return {taken, rows, cols};
  }

  float* const scratch;

 private:
  static int64_t Scratch(const CenterTask& task) {
    return std::max(CenterRows::Floats(task),
                    MeasureScratch(task.tokens(), task.centers.dim));
  }

  float* memory_;
};

// Measures tokens, which are the points of `of`, against its rows and against
// each other. most_rows: the centers when all have joined. The distances
// between tokens are needed because a token that has joined is a center for the
// tokens after it.
TokenDistances::Part MeasurePart(RowDistances of, int64_t most_rows,
                                 TogetherMemory* memory) {
  const int64_t tokens = of.points.count;
  TokenDistances::Part part;
  of.squared = part.centers = memory->Take(tokens, most_rows);
  MeasureRows(of, memory->scratch);
  of.rows = of.points;
  of.squared = part.tokens = memory->Take(tokens, tokens);
  if (tokens > 1) MeasureRows(of, memory->scratch);
  return part;
}

TokenDistances MeasureTokens(const CenterTask& task, TogetherMemory* memory) {
  const CenterMetric& metric = task.metric;
  const int64_t tokens = task.tokens(), most_rows = task.most_rows();
  TokenDistances given;
  given.keys = memory->Take(tokens, task.centers.dim);
  given.values = memory->Take(tokens, task.centers.dim);
  for (int64_t i = 0; i < tokens; ++i) {
    DecodeRow(task.keys.format, task.keys.row(i), given.keys.row(i));
    DecodeRow(task.values.format, task.values.row(i), given.values.row(i));
  }
  if (tokens == 0) return given;
  RowDistances keys = {task.keys, task.centers.KeyRows(task.rows), false, {}};
  if (metric.keys) given.of_keys = MeasurePart(keys, most_rows, memory);
  keys.directions = true;
  // A weighted choice needs the directions even where the metric does not,
  // because alignments are sums of cosines.
  if (metric.directions || metric.weighted()) {
    given.of_directions = MeasurePart(keys, most_rows, memory);
  }
  if (metric.values) {
    given.of_values =
        MeasurePart({task.values, task.centers.ValueRows(task.rows), false, {}},
                    most_rows, memory);
  }
  return given;
}

void InsertTogether(const CenterTask& task, Scratch* scratch) {
  TogetherMemory memory(task, scratch->Get(TogetherMemory::Floats(task)));
  const TokenDistances given = MeasureTokens(task, &memory);
  CenterRows centers(task, given, memory.scratch);
  centers.Shrink();
  for (int64_t i = 0; i < task.tokens(); ++i) centers.Insert(i);
}

void InsertTokens(const CenterTask& task, Scratch* scratch) {
  CenterTask some = task;
  const int64_t limit = task.centers.limit;
  // A task without tokens goes through once too, as it may have rows to drop.
  for (int64_t first = 0; first == 0 || first < task.tokens();
       first += kTogether) {
    if (first > 0) {
      // Each token before took a row while there was room, and none was lost.
      some.rows = std::min(limit, task.rows + first);
      some.entered = task.entered + first;
    }
    const int64_t count = std::min(kTogether, task.tokens() - first);
    some.keys = {task.keys.format, task.keys.row(first), count, task.keys.dim};
    some.values = {task.values.format, task.values.row(first), count,
                   task.values.dim};
    InsertTogether(some, scratch);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace subgen::cpu {

HWY_EXPORT(InsertTokens);

static void CheckShapes(const CenterTask& task) {
  const CenterArrays& arrays = task.centers;
  if (task.tokens() == 0) return;
  SUBGEN_CHECK(task.values.count == task.tokens() &&
               task.keys.dim == arrays.dim && task.values.dim == arrays.dim &&
               task.keys.format == arrays.format &&
               task.values.format == arrays.format);
  SUBGEN_CHECK(task.rows <= arrays.limit);
  SUBGEN_CHECK(static_cast<int64_t>(arrays.neighbors.rows.size()) >=
               task.most_rows() + (task.exchanges() ? 1 : 0));
}

// Returns about how many multiply-adds a task takes.
static int64_t Work(const CenterTask& task) {
  const int64_t going = task.rows - task.centers.limit;
  return std::max(task.tokens(), going) * task.most_rows() * task.centers.dim;
}

void InsertCenters(Context& context, Vector<const CenterTask> tasks) {
  int64_t multiply_adds = 0;
  for (const CenterTask& task : tasks) {
    CheckShapes(task);
    multiply_adds += Work(task);
  }
  // The longest heads come first: heads differ, and a long one that begins last
  // would keep all other threads waiting.
  std::vector<int64_t> order(tasks.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return Work(tasks[a]) > Work(tasks[b]);
  });
  context.Run(tasks.size(), multiply_adds, [&](int64_t item, int worker) {
    HWY_DYNAMIC_DISPATCH(InsertTokens)
    (tasks[order[item]], &context.worker_scratch[worker]);
  });
}

}  // namespace subgen::cpu
#endif
