#include "kernels/cpu/centers.h"

#include <vector>

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

void InsertTokens(const CenterTask& task, const TokenDistances& given,
                  Scratch* scratch) {
  CenterRows centers(task, given, scratch->Get(CenterRows::Floats(task)));
  centers.Shrink();
  for (int64_t i = 0; i < task.tokens(); ++i) centers.Insert(i);
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace subgen::cpu {

HWY_EXPORT(InsertTokens);

namespace {

// Takes memory off a block.
class Taker {
 public:
  explicit Taker(float* memory) : memory_(memory) {}
  Matrix<float> Take(int64_t rows, int64_t cols) {
    float* const taken = memory_;
    memory_ += rows * cols;
    return {taken, rows, cols};
  }

 private:
  float* memory_;
};

int64_t FloatsOf(const CenterTask& task) {
  const int64_t tokens = task.tokens();
  int64_t floats = 2 * tokens * task.centers.dim;
  if (task.exchanges()) floats += 3 * tokens * (task.centers.limit + tokens);
  return floats;
}

// What tokens are compared by: their points, where they lie as rows, and the
// centres' rows.
struct Compared {
  Matrix<float> points;
  Rows tokens, centers;
  bool directions = false;
};

TokenDistances::Part AddPart(const Compared& of, const CenterTask& task,
                             Taker* memory,
                             std::vector<DistanceTask>* distances) {
  const int64_t tokens = task.tokens();
  TokenDistances::Part part;
  part.centers = memory->Take(tokens, task.centers.limit);
  part.tokens = memory->Take(tokens, tokens);
  // Tasks of the same rows one after the other: they are read once.
  for (int64_t i = 0; of.centers.count > 0 && i < tokens; ++i) {
    distances->push_back({of.points.row(i), of.centers,
                          part.centers.row(i).first(of.centers.count),
                          of.directions});
  }
  for (int64_t i = 0; tokens > 1 && i < tokens; ++i) {
    distances->push_back(
        {of.points.row(i), of.tokens, part.tokens.row(i), of.directions});
  }
  return part;
}

TokenDistances Prepare(const CenterTask& task, Taker memory,
                       std::vector<DistanceTask>* distances) {
  const CenterMetric& metric = task.metric;
  const int64_t tokens = task.tokens();
  TokenDistances given;
  given.keys = memory.Take(tokens, task.centers.dim);
  given.values = memory.Take(tokens, task.centers.dim);
  for (int64_t i = 0; i < tokens; ++i) {
    DecodeRow(task.keys.format, task.keys.row(i), given.keys.row(i));
    DecodeRow(task.values.format, task.values.row(i), given.values.row(i));
  }
  if (!task.exchanges()) return given;
  const Compared keys = {given.keys, task.keys,
                         task.centers.KeyRows(task.rows)};
  const Compared values = {given.values, task.values,
                           task.centers.ValueRows(task.rows)};
  Compared directions = keys;
  directions.directions = true;
  if (metric.keys) given.of_keys = AddPart(keys, task, &memory, distances);
  if (metric.directions || metric.weighted()) {
    given.of_directions = AddPart(directions, task, &memory, distances);
  }
  if (metric.values) {
    given.of_values = AddPart(values, task, &memory, distances);
  }
  return given;
}

void CheckShapes(const CenterTask& task) {
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

}  // namespace

void InsertCenters(Context& context, Vector<const CenterTask> tasks) {
  int64_t floats = 0, multiply_adds = 0;
  for (const CenterTask& task : tasks) {
    CheckShapes(task);
    floats += FloatsOf(task);
    if (!task.exchanges()) continue;
    multiply_adds += task.tokens() * task.centers.limit * task.centers.dim;
  }
  float* memory = context.results.Get(floats);
  std::vector<TokenDistances> given;
  std::vector<DistanceTask> distances;
  for (const CenterTask& task : tasks) {
    given.push_back(Prepare(task, Taker(memory), &distances));
    memory += FloatsOf(task);
  }
  Distances(context, distances);
  context.Run(tasks.size(), multiply_adds, [&](int64_t i, int worker) {
    HWY_DYNAMIC_DISPATCH(InsertTokens)
    (tasks[i], given[i], &context.worker_scratch[worker]);
  });
}

}  // namespace subgen::cpu
#endif
