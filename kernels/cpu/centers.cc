#include "kernels/cpu/centers.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/cpu/bf16_distances.h"
#include "kernels/cpu/clustering.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/centers.cc"
#include "kernels/cpu/simd.h"
// In this order: the targets, this file once for each, the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/center_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Tokens whose distances are computed at once: they and the centres of a head
// of 1,024 rows stay in a second-level cache.
constexpr int64_t kTogether = 32;

// Of a task of at most kTogether tokens: the distances of all of them, and
// memory for the choices.
class TogetherMemory {
 public:
  static int64_t Floats(const CenterTask& task) {
    const int64_t tokens = task.tokens();
    int64_t floats = 2 * tokens * task.centers.dim + Scratch(task);
    if (task.exchanges()) floats += 3 * tokens * (task.centers.limit + tokens);
    return floats;
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
    return std::max(
        CenterRows::Floats(task),
        std::max(DistanceScratch(task.centers.dim),
                 BF16DistanceScratch({task.keys, task.keys, false, {}})));
  }

  float* memory_;
};

// What tokens are compared by: their points, where they lie as rows, and the
// centres' rows.
struct Compared {
  Matrix<float> points;
  Rows tokens, centers;
  bool directions = false;
};

// Of all tokens from the rows: the first columns of `squared`.
void Measure(const Compared& of, const Rows& rows, Matrix<float> squared,
             float* scratch) {
  if (rows.count == 0) return;
  if (TakesBF16(rows)) {
    return BF16DistanceRows({of.tokens, rows, of.directions, squared},
                            {0, rows.count}, scratch);
  }
  for (int64_t i = 0; i < squared.rows; i += kMostPoints) {
    DistanceTask tasks[kMostPoints];
    const int64_t count = std::min<int64_t>(kMostPoints, squared.rows - i);
    for (int64_t t = 0; t < count; ++t) {
      tasks[t] = {of.points.row(i + t), rows,
                  squared.row(i + t).first(rows.count), of.directions};
    }
    DistanceRows({tasks, static_cast<size_t>(count)}, {0, rows.count}, scratch);
  }
}

TokenDistances::Part MeasurePart(const Compared& of, int64_t limit,
                                 TogetherMemory* memory) {
  const int64_t tokens = of.tokens.count;
  TokenDistances::Part part;
  part.centers = memory->Take(tokens, limit);
  part.tokens = memory->Take(tokens, tokens);
  Measure(of, of.centers, part.centers, memory->scratch);
  if (tokens > 1) Measure(of, of.tokens, part.tokens, memory->scratch);
  return part;
}

TokenDistances MeasureTokens(const CenterTask& task, TogetherMemory* memory) {
  const CenterMetric& metric = task.metric;
  const int64_t tokens = task.tokens(), limit = task.centers.limit;
  TokenDistances given;
  given.keys = memory->Take(tokens, task.centers.dim);
  given.values = memory->Take(tokens, task.centers.dim);
  for (int64_t i = 0; i < tokens; ++i) {
    DecodeRow(task.keys.format, task.keys.row(i), given.keys.row(i));
    DecodeRow(task.values.format, task.values.row(i), given.values.row(i));
  }
  if (!task.exchanges()) return given;
  const Compared keys = {given.keys, task.keys,
                         task.centers.KeyRows(task.rows)};
  Compared directions = keys;
  directions.directions = true;
  if (metric.keys) given.of_keys = MeasurePart(keys, limit, memory);
  if (metric.directions || metric.weighted()) {
    given.of_directions = MeasurePart(directions, limit, memory);
  }
  if (metric.values) {
    given.of_values = MeasurePart(
        {given.values, task.values, task.centers.ValueRows(task.rows)}, limit,
        memory);
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
  for (int64_t first = 0; first == 0 || first < task.tokens();
       first += kTogether) {
    if (first > 0) {
      some.rows = std::min(limit, task.rows + first);
      some.linked |= task.rows + first > limit;
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
  SUBGEN_CHECK(!task.exchanges() ||
               static_cast<int64_t>(arrays.neighbors.rows.size()) >=
                   arrays.limit + 1);
}

// About so many multiply-adds.
static int64_t Work(const CenterTask& task) {
  if (!task.exchanges()) return 0;
  const int64_t going = task.rows + task.tokens() - task.centers.limit;
  return going * std::max(task.rows, task.centers.limit) * task.centers.dim;
}

void InsertCenters(Context& context, Vector<const CenterTask> tasks) {
  int64_t multiply_adds = 0;
  for (const CenterTask& task : tasks) {
    CheckShapes(task);
    multiply_adds += Work(task);
  }
  // The longest first, for heads are not alike.
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
