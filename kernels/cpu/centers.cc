#include "kernels/cpu/centers.h"

#include <algorithm>
#include <numeric>
#include <utility>
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

void InsertTokens(const CenterTask& task, const TokenDistances& given,
                  Scratch* scratch) {
  CenterRows centers(task, given, scratch->Get(CenterRows::Floats(task)));
  centers.Shrink();
  for (int64_t i = 0; i < task.tokens(); ++i) centers.Insert(i);
}

bool SuitsBF16(const Rows& rows) { return TakesBF16(rows); }

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace subgen::cpu {

HWY_EXPORT(InsertTokens);
HWY_EXPORT(SuitsBF16);

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

// Distances to be computed, by either way.
struct Wanted {
  std::vector<DistanceTask> tasks;
  std::vector<BF16Distances> of_bf16;

  // Of all tokens from the rows; tasks of the same rows stand one after the
  // other, so that these are read once.
  void Add(const Compared& of, const Rows& rows, Matrix<float> squared) {
    if (rows.count == 0) return;
    const Matrix<float> columns(squared.data, squared.rows, rows.count,
                                squared.stride);
    if (HWY_DYNAMIC_DISPATCH(SuitsBF16)(rows)) {
      of_bf16.push_back({of.tokens, rows, of.directions, columns});
      return;
    }
    for (int64_t i = 0; i < columns.rows; ++i) {
      tasks.push_back({of.points.row(i), rows, columns.row(i), of.directions});
    }
  }
};

TokenDistances::Part AddPart(const Compared& of, const CenterTask& task,
                             Taker* memory, Wanted* wanted) {
  const int64_t tokens = task.tokens();
  TokenDistances::Part part;
  part.centers = memory->Take(tokens, task.centers.limit);
  part.tokens = memory->Take(tokens, tokens);
  wanted->Add(of, of.centers, part.centers);
  if (tokens > 1) wanted->Add(of, of.tokens, part.tokens);
  return part;
}

TokenDistances Prepare(const CenterTask& task, Taker memory, Wanted* wanted) {
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
  if (metric.keys) given.of_keys = AddPart(keys, task, &memory, wanted);
  if (metric.directions || metric.weighted()) {
    given.of_directions = AddPart(directions, task, &memory, wanted);
  }
  if (metric.values) {
    given.of_values = AddPart(values, task, &memory, wanted);
  }
  return given;
}

void Compute(Context& context, const Wanted& wanted) {
  constexpr int64_t kPieceRows = 256;
  Distances(context, wanted.tasks);
  std::vector<std::pair<const BF16Distances*, Range>> pieces;
  int64_t multiply_adds = 0;
  for (const BF16Distances& task : wanted.of_bf16) {
    const int64_t count = task.rows.count;
    multiply_adds += task.points.count * count * task.rows.dim;
    for (int64_t row = 0; row < count; row += kPieceRows) {
      pieces.push_back({&task, {row, std::min(kPieceRows, count - row)}});
    }
  }
  context.Run(pieces.size(), multiply_adds, [&](int64_t i, int worker) {
    const BF16Distances& task = *pieces[i].first;
    BF16DistanceRows(
        task, pieces[i].second,
        context.worker_scratch[worker].Get(BF16DistanceScratch(task)));
  });
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
  Wanted wanted;
  for (const CenterTask& task : tasks) {
    given.push_back(Prepare(task, Taker(memory), &wanted));
    memory += FloatsOf(task);
  }
  Compute(context, wanted);
  // The longest first, for heads are not alike.
  std::vector<int64_t> order(tasks.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return tasks[a].centers.limit > tasks[b].centers.limit;
  });
  context.Run(tasks.size(), multiply_adds, [&](int64_t item, int worker) {
    const int64_t i = order[item];
    HWY_DYNAMIC_DISPATCH(InsertTokens)
    (tasks[i], given[i], &context.worker_scratch[worker]);
  });
}

}  // namespace subgen::cpu
#endif
