#include "kernels/cpu/attention/attention_piece.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention/attention_piece.cc"
#include "kernels/cpu/simd/simd.h"
// The order matters: the targets come first, then this file once for each of
// them, then the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/attention/few_queries-inl.h"
#include "kernels/cpu/attention/many_queries-inl.h"
#include "kernels/cpu/attention/softmax-inl.h"
#include "kernels/cpu/simd/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Copies rows to rows of `width` floats, with zeros behind each row's numbers.
void PadRows(Matrix<const float> rows, int64_t width, float* out) {
  for (int64_t i = 0; i < rows.rows; ++i, out += width) {
    std::fill(std::copy_n(rows.row(i).data(), rows.cols, out), out + width,
              0.0f);
  }
}

// Copies the bias of the tile's rows, with zeros behind them, because the
// softmax reads whole vectors.
void CopyBias(Vector<const float> bias, Range rows, float* out) {
  std::fill_n(out, kRowTile, 0.0f);
  if (!bias.empty()) std::copy_n(&bias[rows.first], rows.count, out);
}

// Returns how many of the tile's rows the queries of `token` see.
int64_t SeenRows(Vector<const int> row_token, Range tile, int64_t token) {
  if (row_token.empty()) return tile.count;
  const auto first = row_token.begin() + tile.first;
  const auto end = first + tile.count;
  // If the last row is seen then all are, as tokens of rows ascend, and there
  // is nothing to search for.
  if (*(end - 1) <= token) return tile.count;
  return std::upper_bound(first, end, token) - first;
}

// Sets logits[i][j] = query i . key j, [queries, kRowTile]. For many queries
// the keys are transposed first: they come in as [kRowTile, width] and lie in
// `turned` as [width, kRowTile] for the products.
void Logits(const float* queries, int64_t count, const float* keys, Range rows,
            int64_t width, float* turned, float* logits) {
  std::fill_n(logits, count * kRowTile, 0.0f);
  // Few queries would not pay for the transposition.
  if (count < kManyQueries) {
    Dot({{queries, width}, {keys, width}, width, {logits, kRowTile}}, count,
        rows.count);
    return;
  }
  const int64_t padded = PaddedWidth(rows.count);
  Transpose({keys, width}, padded, width, {turned, kRowTile});
  Combine({{queries, width}, {turned, kRowTile}, width, {logits, kRowTile}},
          count, padded);
}

struct AttendMemory {
  AttendMemory(float* scratch, int64_t width, int64_t widest)
      : queries(scratch),
        rows(queries + kFloatQueries * width),
        turned(rows + kRowTile * widest),
        logits(turned + kRowTile * width),
        partition_bias(logits + kFloatQueries * kRowTile),
        value_bias(partition_bias + kRowTile) {}

  float* queries;         // [kFloatQueries, width]
  float* rows;            // [kRowTile, widest], keys and then values
  float* turned;          // [width, kRowTile], keys
  float* logits;          // [kFloatQueries, kRowTile]
  float* partition_bias;  // [kRowTile]
  float* value_bias;      // [kRowTile]
};

void KeyLogits(const AttentionTask& task, const Piece& piece, Range tile,
               const AttendMemory& memory) {
  const Rows& keys = task.rows.keys;
  const int64_t width = PaddedWidth(keys.dim);
  const int64_t queries = piece.queries.count;
  if (TakesFew(keys, queries)) {
    // Few queries widen stored rows in registers; expanding them first would
    // write and read them once more.
    RunFew<LogitsOfFew>(keys, tile, queries, {memory.queries, width},
                        {memory.logits, kRowTile});
    return;
  }
  ExpandRows(keys, tile.first, tile.count, width, memory.rows);
  Logits(memory.queries, queries, memory.rows, tile, width, memory.turned,
         memory.logits);
}

// Converts logits to the weights of the values.
void Weights(const AttentionTask& task, const Piece& piece, Range tile,
             const AttendMemory& memory, const SoftmaxPartials& out) {
  const WeightedRows& rows = task.rows;
  const bool has_values = rows.values.count > 0;
  CopyBias(rows.partition_bias, tile, memory.partition_bias);
  if (has_values) CopyBias(rows.value_bias, tile, memory.value_bias);
  // With one bias both sums have the same weights, and one exponential serves
  // both.
  const bool one_bias =
      !has_values || (rows.partition_bias.data() == rows.value_bias.data() &&
                      rows.partition_bias.size() == rows.value_bias.size());
  for (int64_t i = 0; i < piece.queries.count; ++i) {
    const int64_t token = (piece.queries.first + i) / task.group;
    const SoftmaxSums sums{&out.max_logit[i], &out.partition[i],
                           out.weighted.row(i)};
    const LogitRow row{memory.logits + i * kRowTile, tile.count,
                       SeenRows(task.row_token, tile, token),
                       memory.partition_bias};
    if (one_bias) {
      WeightsOfOneBias(row, sums);
    } else {
      WeightsOfTwoBiases(row, memory.value_bias, sums);
    }
  }
}

void AddValues(const Rows& values, int64_t queries, Range tile,
               const AttendMemory& memory, const SoftmaxPartials& out) {
  const Result sums{out.weighted.data, out.weighted.stride};
  const Operand weights{memory.logits, kRowTile};
  if (TakesFew(values, queries)) {
    RunFew<SumsOfFew>(values, tile, queries, weights, sums);
    return;
  }
  const int64_t width = PaddedWidth(values.dim);
  ExpandRows(values, tile.first, tile.count, width, memory.rows);
  Combine({weights, {memory.rows, width}, tile.count, sums}, queries, width);
}

// Attends to a tile; some queries of the piece see some of its rows.
template <class Dot>
void AttendManyTile(const AttentionTask& task, const Piece& piece, Range tile,
                    const ManyMemory& memory, const SoftmaxPartials& out) {
  RoundTile(task.rows, tile, memory);
  const auto seen = [&](int64_t query) {
    return SeenRows(task.row_token, tile,
                    (piece.queries.first + query) / task.group);
  };
  for (int64_t i = 0; i < piece.queries.count; i += kQueryGroup) {
    const Range group{i, std::min(kQueryGroup, piece.queries.count - i)};
    // The last query of the group sees the most rows.
    if (seen(i + group.count - 1) == 0) continue;
    GroupLogits<Dot>(memory, group);
    for (int64_t q = 0; q < group.count; ++q) {
      RowWeights(memory, q, seen(i + q));
    }
    GroupTotals(memory, &out.max_logit[i], &out.partition[i]);
    GroupValues<Dot>(memory, out.weighted.Rows(i, group.count));
  }
}

template <class Dot>
void AttendMany(const AttentionTask& task, const Piece& piece, float* scratch,
                const SoftmaxPartials& out) {
  const ManyMemory memory(scratch, task.rows);
  RoundQueries(task.queries.Rows(piece.queries.first, piece.queries.count),
               memory);
  for (int64_t row = 0; row < piece.rows.count; row += kRowTile) {
    AttendManyTile<Dot>(
        task, piece,
        {piece.rows.first + row, std::min(kRowTile, piece.rows.count - row)},
        memory, out);
  }
}

void AttendFloats(const AttentionTask& task, const Piece& piece, float* scratch,
                  const SoftmaxPartials& out) {
  const int64_t width = PaddedWidth(task.rows.keys.dim);
  const AttendMemory memory(scratch, width,
                            std::max(width, PaddedWidth(task.rows.values.dim)));
  PadRows(task.queries.Rows(piece.queries.first, piece.queries.count), width,
          memory.queries);
  for (int64_t row = 0; row < piece.rows.count; row += kRowTile) {
    const Range tile{piece.rows.first + row,
                     std::min(kRowTile, piece.rows.count - row)};
    KeyLogits(task, piece, tile, memory);
    Weights(task, piece, tile, memory, out);
    if (task.rows.values.count == 0) continue;
    AddValues(task.rows.values, piece.queries.count, tile, memory, out);
  }
}

void AttendRows(const AttentionTask& task, const Piece& piece, float* scratch,
                const SoftmaxPartials& out) {
  if (TakesMany(task, piece.queries.count)) {
    return HasPairDot()
               ? AttendMany<PairDot>(task, piece, scratch, out)
               : AttendMany<MultiplyThenAdd>(task, piece, scratch, out);
  }
  for (int64_t i = 0; i < piece.queries.count; i += kFloatQueries) {
    const int64_t count = std::min(kFloatQueries, piece.queries.count - i);
    AttendFloats(task,
                 {piece.task, {piece.queries.first + i, count}, piece.rows},
                 scratch, out.Rows(i, count));
  }
}

int64_t ManyScratch(const WeightedRows& rows) {
  return ManyMemory(nullptr, rows).floats;
}

// Adds what the queries of one tile give to the rows of another.
void MassTile(const AttentionMassTask& task, Range queries, Range rows,
              float* logits, const float* bias, float* mass) {
  for (int64_t i = 0; i < queries.count; ++i) {
    const int64_t query = queries.first + i;
    const float log_partition = task.log_partition[query];
    if (std::isinf(log_partition)) continue;  // saw nothing
    AddProbabilities({logits + i * kRowTile, rows.count,
                      SeenRows(task.row_token, rows, query / task.group), bias},
                     log_partition, mass);
  }
}

void MassRows(const AttentionMassTask& task, Range rows, float* scratch,
              float* mass) {
  const int64_t width = PaddedWidth(task.keys.dim);
  float* queries = scratch;
  float* keys = queries + kFloatQueries * width;
  float* turned = keys + kRowTile * width;
  float* logits = turned + kRowTile * width;
  float* bias = logits + kFloatQueries * kRowTile;
  float* tile_mass = bias + kRowTile;
  for (int64_t row = 0; row < rows.count; row += kRowTile) {
    const Range tile{rows.first + row, std::min(kRowTile, rows.count - row)};
    ExpandRows(task.keys, tile.first, tile.count, width, keys);
    CopyBias(task.partition_bias, tile, bias);
    std::fill_n(tile_mass, kRowTile, 0.0f);
    for (int64_t i = 0; i < task.queries.rows; i += kFloatQueries) {
      const Range some{i, std::min(kFloatQueries, task.queries.rows - i)};
      PadRows(task.queries.Rows(i, some.count), width, queries);
      Logits(queries, some.count, keys, tile, width, turned, logits);
      MassTile(task, some, tile, logits, bias, tile_mass);
    }
    std::copy_n(tile_mass, tile.count, mass + row);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace subgen::cpu {

HWY_EXPORT(AttendRows);
HWY_EXPORT(ManyScratch);
HWY_EXPORT(MassRows);

int64_t AttendScratch(const AttentionTask& task) {
  const int64_t width = PaddedWidth(task.rows.keys.dim);
  const int64_t value_width = PaddedWidth(task.rows.values.dim);
  const int64_t few = (kFloatQueries + kRowTile) * width +
                      kRowTile * std::max(width, value_width) +
                      kFloatQueries * kRowTile + 2 * kRowTile;
  return std::max(few, HWY_DYNAMIC_DISPATCH(ManyScratch)(task.rows));
}

int64_t MassScratch(const AttentionMassTask& task) {
  return (kFloatQueries + 2 * kRowTile) * PaddedWidth(task.keys.dim) +
         kFloatQueries * kRowTile + 2 * kRowTile;
}

void AttendPiece(const AttentionTask& task, const Piece& piece, float* scratch,
                 const SoftmaxPartials& out) {
  SetEmpty(out);
  HWY_DYNAMIC_DISPATCH(AttendRows)(task, piece, scratch, out);
}

void MassPiece(const AttentionMassTask& task, Range rows, float* scratch,
               float* mass) {
  HWY_DYNAMIC_DISPATCH(MassRows)(task, rows, scratch, mass);
}

}  // namespace subgen::cpu
#endif
