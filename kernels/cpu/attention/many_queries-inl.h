// Attention of many queries in products of 16-bit integers: queries, keys,
// weights and values of a tile are rounded; everything between is float32. The
// file is compiled once per target.
//
// The roundings are as follows. A number of a query or of a key is off by at
// most its row's length / 64,000. A weight is off by at most the larger of
// 1/65,534 of the tile's largest and 1/524,000 of the tile's sum. A number of a
// value is off by at most 1/16,382 of the largest of its column in the tile.
// The partition is the sum of weights before they are rounded.
#if defined(SUBGEN_KERNELS_CPU_MANY_QUERIES_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_MANY_QUERIES_INL_H_
#undef SUBGEN_KERNELS_CPU_MANY_QUERIES_INL_H_
#else
#define SUBGEN_KERNELS_CPU_MANY_QUERIES_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "kernels/cpu/attention/attention_piece.h"
#include "kernels/cpu/attention/integer_rows-inl.h"
#include "kernels/cpu/attention/softmax-inl.h"
#include "kernels/cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

constexpr int64_t kQueryGroup = 16;  // queries whose logits stay in L1
constexpr float kMostWeight = 32767.0f;
// A tile's weights of one query add up to less than this, so that the products
// with kColumn stay below 2^31.
constexpr float kMostWeights = 262000.0f;

// Cuts one block of memory into arrays of whole cache lines.
class Arrays {
 public:
  explicit Arrays(float* memory) : memory_(memory) {}
  template <class T>
  T* Take(int64_t count) {
    static_assert(sizeof(T) == sizeof(float));
    auto* array = reinterpret_cast<T*>(memory_ + used_);
    used_ += PaddedWidth(count);
    return array;
  }
  int64_t used() const { return used_; }

 private:
  float* memory_;
  int64_t used_ = 0;
};

// Returns the width with room for whole vectors of pairs.
HWY_INLINE int64_t PairWidth(int64_t dim) { return (dim + 31) / 32 * 32; }

struct ManyMemory {
  ManyMemory(float* scratch, const WeightedRows& of)
      : width(PairWidth(of.keys.dim)), value_width(PaddedWidth(of.values.dim)) {
    Arrays arrays(scratch);
    rows = arrays.Take<float>(kRowTile * std::max(width, value_width));
    rounded = arrays.Take<int32_t>(kRowTile * width / 2);
    keys = arrays.Take<int32_t>(width / 2 * kRowTile);
    key_scales = arrays.Take<float>(kRowTile);
    values = arrays.Take<int32_t>(kRowTile / 2 * value_width);
    value_scales = arrays.Take<float>(value_width);
    bias = arrays.Take<float>(kRowTile);
    queries = arrays.Take<int32_t>(kQueryTile * width / 2);
    query_scales = arrays.Take<float>(kQueryTile);
    logits = arrays.Take<float>(kQueryGroup * kRowTile);
    weights = arrays.Take<int32_t>(kQueryGroup * kRowTile / 2);
    for (float** of_query : {&largest, &sum, &scale, &keep, &gain}) {
      *of_query = arrays.Take<float>(kQueryGroup);
    }
    floats = arrays.used();
  }

  // Logits, biases and their maxima are in units of ln 2, so that weights are
  // powers of two. Pairs are as in integer_rows-inl.h.
  int64_t width, value_width;
  float* rows;           // [kRowTile, the larger width], keys and then values
  int32_t* rounded;      // [kRowTile, width / 2], keys
  int32_t* keys;         // [width / 2, kRowTile]
  float* key_scales;     // [kRowTile]
  int32_t* values;       // [kRowTile / 2, value_width]
  float* value_scales;   // [value_width]
  float* bias;           // [kRowTile]
  int32_t* queries;      // [kQueryTile, width / 2]
  float* query_scales;   // [kQueryTile]
  float* logits;         // [kQueryGroup, kRowTile]
  int32_t* weights;      // [kQueryGroup, kRowTile / 2]
  float *largest, *sum;  // [kQueryGroup] of a query's logits and weights
  float* scale;          // [kQueryGroup] weights were multiplied by it
  float *keep, *gain;    // [kQueryGroup] factors of the sums and of the tile
  int64_t floats;
};

// Returns whether the integers take `count` queries of the task.
HWY_INLINE bool TakesMany(const AttentionTask& task, int64_t count) {
  const WeightedRows& rows = task.rows;
  const bool one_bias = rows.partition_bias.data() == rows.value_bias.data() &&
                        rows.partition_bias.size() == rows.value_bias.size();
  return kHasPairs && count >= kQueryGroup && one_bias &&
         (rows.keys.format != RowFormat::kF32 || task.may_round) &&
         rows.values.count > 0;
}

HWY_INLINE void RoundQueries(Matrix<const float> queries,
                             const ManyMemory& memory) {
  const int64_t pairs = memory.width / 2;
  std::fill_n(memory.rows, memory.width, 0.0f);
  for (int64_t i = 0; i < queries.rows; ++i) {
    std::copy_n(queries.row(i).data(), queries.cols, memory.rows);
    memory.query_scales[i] = kLog2E * RoundRow(memory.rows, memory.width,
                                               memory.queries + i * pairs);
  }
}

// Rounds the tile's rows and puts zeros behind them.
HWY_INLINE void RoundTile(const WeightedRows& rows, Range tile,
                          const ManyMemory& memory) {
  const int64_t width = memory.width, pairs = width / 2;
  ExpandRows(rows.keys, tile.first, tile.count, width, memory.rows);
  std::fill(memory.rows + tile.count * width, memory.rows + kRowTile * width,
            0.0f);
  for (int64_t i = 0; i < kRowTile; ++i) {
    memory.key_scales[i] =
        RoundRow(memory.rows + i * width, width, memory.rounded + i * pairs);
  }
  Transpose({reinterpret_cast<const float*>(memory.rounded), pairs}, kRowTile,
            pairs, {reinterpret_cast<float*>(memory.keys), kRowTile});

  const int64_t value_width = memory.value_width;
  ExpandRows(rows.values, tile.first, tile.count, value_width, memory.rows);
  std::fill(memory.rows + tile.count * value_width,
            memory.rows + kRowTile * value_width, 0.0f);
  RoundColumns({memory.rows, value_width}, kRowTile, value_width, memory.values,
               memory.value_scales);

  std::fill_n(memory.bias, kRowTile, 0.0f);
  if (rows.partition_bias.empty()) return;
  for (int64_t j = 0; j < tile.count; ++j) {
    memory.bias[j] = kLog2E * rows.partition_bias[tile.first + j];
  }
}

// Computes logits[i][j] of queries first + i, i < count.
template <class Dot>
HWY_INLINE void GroupLogits(const ManyMemory& memory, Range queries) {
  const int64_t pairs = memory.width / 2;
  const float* const query_scales = memory.query_scales + queries.first;
  const float *const key_scales = memory.key_scales, *const bias = memory.bias;
  float* const logits = memory.logits;
  MultiplyPairs<Dot>({memory.queries + queries.first * pairs, pairs,
                      memory.keys, kRowTile, pairs},
                     queries.count, kRowTile,
                     [=](int64_t i, int64_t j, Integers sums) HWY_ATTR {
                       const V scale =
                           hn::Mul(hn::LoadU(kFloat, key_scales + j),
                                   hn::Set(kFloat, query_scales[i]));
                       hn::StoreU(hn::MulAdd(hn::ConvertTo(kFloat, sums), scale,
                                             hn::LoadU(kFloat, bias + j)),
                                  kFloat, logits + i * kRowTile + j);
                     });
}

// Computes the weights of query i of the group, which sees `visible` rows of
// the tile.
HWY_INLINE void RowWeights(const ManyMemory& memory, int64_t i,
                           int64_t visible) {
  constexpr int64_t kVectors = kRowTile / kLanes;
  float* const logits = memory.logits + i * kRowTile;
  std::fill(logits + visible, logits + kRowTile, kNone);
  V weights[kVectors];
  V most = hn::Set(kFloat, kNone);
  for (int64_t v = 0; v < kVectors; ++v) {
    weights[v] = hn::LoadU(kFloat, logits + v * kLanes);
    most = hn::Max(most, weights[v]);
  }
  const float max = MaxOf(most);
  const V base = hn::Set(kFloat, max == kNone ? 0.0f : max);
  V sums = hn::Zero(kFloat);
  for (V& weight : weights) {
    weight = SoftmaxExp2(hn::Sub(weight, base));
    sums = hn::Add(sums, weight);
  }
  const float sum = SumOf(sums);
  const float scale = std::min(kMostWeight, kMostWeights / sum);
  const V scales = hn::Set(kFloat, scale);
  int32_t* const pairs = memory.weights + i * kRowTile / 2;
  for (int64_t v = 0; v < kVectors / 2; ++v) {
    hn::StoreU(Pair(Rounded(weights[v], scales),
                    Rounded(weights[kVectors / 2 + v], scales)),
               kInteger, pairs + v * kLanes);
  }
  memory.largest[i] = max;
  memory.sum[i] = sum;
  memory.scale[i] = scale;
}

// Takes the group's tile into the maxima and partitions, and leaves in `keep`
// and `gain` what the sums are multiplied by. There is room for a whole group
// behind `max` and `partition`.
HWY_INLINE void GroupTotals(const ManyMemory& memory, float* max,
                            float* partition) {
  for (int64_t i = 0; i < kQueryGroup; i += kLanes) {
    const V before = hn::LoadU(kFloat, max + i);
    const V tile =
        hn::Mul(hn::LoadU(kFloat, memory.largest + i), hn::Set(kFloat, kLn2));
    const V after = hn::Max(before, tile);
    const V base =
        hn::IfThenZeroElse(hn::Eq(after, hn::Set(kFloat, kNone)), after);
    const V keep = SoftmaxExp(hn::Sub(before, base));
    const V gain = SoftmaxExp(hn::Sub(tile, base));
    const V own = hn::Mul(hn::LoadU(kFloat, memory.sum + i), gain);
    hn::StoreU(hn::MulAdd(hn::LoadU(kFloat, partition + i), keep, own), kFloat,
               partition + i);
    hn::StoreU(after, kFloat, max + i);
    hn::StoreU(keep, kFloat, memory.keep + i);
    hn::StoreU(hn::Div(gain, hn::LoadU(kFloat, memory.scale + i)), kFloat,
               memory.gain + i);
  }
}

// Computes the sums of the group's queries over the tile.
template <class Dot>
HWY_INLINE void GroupValues(const ManyMemory& memory, Matrix<float> sums) {
  const float *const scales = memory.value_scales, *const keep = memory.keep,
                     *const gain = memory.gain;
  MultiplyPairs<Dot>(
      {memory.weights, kRowTile / 2, memory.values, memory.value_width,
       kRowTile / 2},
      sums.rows, memory.value_width,
      [=](int64_t i, int64_t c, Integers products) HWY_ATTR {
        float* const sum = sums.data + i * sums.stride + c;
        const V scale =
            hn::Mul(hn::LoadU(kFloat, scales + c), hn::Set(kFloat, gain[i]));
        const V kept =
            hn::Mul(hn::LoadU(kFloat, sum), hn::Set(kFloat, keep[i]));
        hn::StoreU(hn::MulAdd(hn::ConvertTo(kFloat, products), scale, kept),
                   kFloat, sum);
      });
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
