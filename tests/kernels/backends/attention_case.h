// This is a pseudo-random attention task, and how near two backends must come
// on it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/backend.h"
#include "tests/kernels/random_rows.h"

namespace subgen {

struct AttentionShape {
  int64_t tokens = 1;
  int group = 3;
  int64_t rows = 1;
  int64_t dim = 64;
  RowFormat format = RowFormat::kBF16;
  bool has_values = true;
  float query_size = 1.0f;  // about the size of logits
  bool bf16 = false;        // queries, and rows before they are stored
  bool may_round = false;
};

// Returns each number as bf16 has it.
inline std::vector<float> RoundedToBF16(std::vector<float> numbers) {
  const int64_t size = std::ssize(numbers);
  return StoredRows(RowFormat::kBF16, {numbers.data(), 1, size}).Decoded();
}

class AttentionCase {
 public:
  explicit AttentionCase(const AttentionShape& shape)
      : shape_(shape),
        queries_(queries(), shape.dim, 1, 3),
        key_numbers_(Random(shape.rows, 2)),
        value_numbers_(Random(shape.has_values ? shape.rows : 0, 3)),
        keys_(shape.format, key_numbers_.view()),
        values_(shape.format, value_numbers_.view()),
        magnitudes_(RowFormat::kF32, Absolute(values_, value_numbers_)) {
    key_numbers_.numbers() = keys_.Decoded();
    const float scale = shape.query_size / std::sqrt(1.0f * shape.dim);
    for (float& x : queries_.numbers()) x *= scale;
    if (shape.bf16) queries_.numbers() = RoundedToBF16(queries_.numbers());
  }

  int64_t tokens() const { return shape_.tokens; }
  int64_t dim() const { return shape_.dim; }
  int64_t queries() const { return shape_.tokens * shape_.group; }
  int64_t rows() const { return shape_.rows; }
  RowFormat format() const { return shape_.format; }

  // `share` of the rows are not in the sum.
  void SetPartitionBias(double share) { partition_bias_ = Bias(share, 4); }
  void SetValueBias(double share) { value_bias_ = Bias(share, 5); }
  void ShareBias() { share_bias_ = true; }
  // Gives rows tokens from -1 (all see it) to one that no query belongs to.
  void SetCausal() {
    std::mt19937 random(6);
    std::uniform_int_distribution<int> token(-1, shape_.tokens);
    row_token_.resize(shape_.rows);
    for (int& t : row_token_) t = token(random);
    std::sort(row_token_.begin(), row_token_.end());
  }
  // Does as inside a chunk: row j is of token j.
  void SetOwnTokens() {
    row_token_.resize(shape_.rows);
    std::iota(row_token_.begin(), row_token_.end(), 0);
  }
  void TakeQueriesFrom(AttentionCase& other) {
    queries_.numbers() = other.queries_.numbers();
  }

  PartialsBuffer EmptyPartials() const {
    PartialsBuffer buffer(queries(), shape_.dim);
    SetEmpty(buffer.Resize(queries()));
    return buffer;
  }

  AttentionTask Task(const SoftmaxPartials& out) {
    const Vector<const float> value_bias =
        share_bias_ ? partition_bias_ : value_bias_;
    return {queries_.view(),
            {keys_.rows(), values_.rows(), partition_bias_, value_bias},
            row_token_,
            shape_.group,
            out,
            shape_.may_round};
  }
  // Returns the task of rows [first, first + count) alone.
  AttentionTask TaskOfRows(int64_t first, int64_t count,
                           const SoftmaxPartials& out) {
    AttentionTask task = Task(out);
    for (Rows* rows : {&task.rows.keys, &task.rows.values}) {
      rows->data += first * RowBytes(rows->format, rows->dim);
      rows->count = count;
    }
    return task;
  }
  std::vector<float> DecodedValues() const { return values_.Decoded(); }
  // Returns the task with |values|: what the rounding of the weighted sums
  // scales with.
  AttentionTask TaskOfMagnitudes(const SoftmaxPartials& out) {
    AttentionTask task = Task(out);
    task.rows.values = magnitudes_.rows();
    return task;
  }
  AttentionMassTask MassTask(Vector<const float> log_partition,
                             Vector<float> mass) {
    return {queries_.view(),
            keys_.rows(),
            partition_bias_,
            row_token_,
            shape_.group,
            log_partition,
            mass};
  }

  // Returns what the rounding of queries and keys to 16 bits adds to it: each
  // number of them is off by up to its row's length / 64,000, a logit by that
  // times the sum of the other row's magnitudes.
  double RoundingOfLogits() {
    const double logit =
        LargestRowNorm(queries_.view()) * LargestRowNorm(key_numbers_.view());
    return std::sqrt(1.0 * shape_.dim) * logit / 32000;
  }
  // Returns what the rounding of weights and values adds to a weighted sum, in
  // parts of the partition: each of a tile's 64 weights is off by up to
  // 1/65,534 of their sum (or less), each value by up to 1/16,382 of the
  // largest.
  double RoundingOfValues() {
    float largest = 0.0f;
    for (const float x : value_numbers_.numbers()) {
      largest = std::max(largest, std::abs(x));
    }
    return largest * (64 / 65534.0 + 1 / 16382.0);
  }

  // Returns a bound of the relative error of one weight exp(logit + bias - max)
  // and of sums of them. A logit is off by a unit of |q| |k| for each product
  // and addition; biases, differences and rescaling add a few units of the
  // largest logit; the exponential is good to 2 units; sums and merges add one
  // unit of the sum for each row.
  double RelativeError() {
    const double logit =
        LargestRowNorm(queries_.view()) * LargestRowNorm(key_numbers_.view());
    constexpr double kLargestBias = 5.0;
    return kUnit *
           ((shape_.dim + 8) * logit + 8 * kLargestBias + shape_.rows + 32);
  }
  // Returns what rounding to bf16 adds to that: half of the last of 8 bits of
  // each query and key, which are factors of logits, of each weight, and of
  // each value; nothing where they are numbers of bf16.
  double RoundingToBF16() {
    constexpr double kHalf = 0x1p-8;
    const double logit =
        LargestRowNorm(queries_.view()) * LargestRowNorm(key_numbers_.view());
    const auto of = [&](const std::vector<float>& numbers) {
      return numbers == RoundedToBF16(numbers) ? 0.0 : kHalf;
    };
    const double query = of(queries_.numbers()), key = of(keys_.Decoded());
    const double of_logit = (query + key + query * key) * logit;
    return std::exp(of_logit) * (1 + kHalf) * (1 + of(values_.Decoded())) - 1;
  }

 private:
  RandomMatrix Random(int64_t rows, int seed) const {
    RandomMatrix matrix(rows, shape_.dim, seed);
    if (shape_.bf16) matrix.numbers() = RoundedToBF16(matrix.numbers());
    return matrix;
  }
  // Puts into `matrix` what is stored, without signs.
  static Matrix<const float> Absolute(const StoredRows& stored,
                                      RandomMatrix& matrix) {
    matrix.numbers() = stored.Decoded();
    for (float& x : matrix.numbers()) x = std::abs(x);
    return matrix.view();
  }
  std::vector<float> Bias(double share, int seed) const {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> bias(-5.0f, 5.0f), part(0.0f, 1.0f);
    std::vector<float> biases(shape_.rows);
    for (float& b : biases) {
      b = part(random) < share ? -std::numeric_limits<float>::infinity()
                               : bias(random);
    }
    return biases;
  }

  AttentionShape shape_;
  RandomMatrix queries_, key_numbers_, value_numbers_;
  StoredRows keys_, values_, magnitudes_;
  std::vector<float> partition_bias_, value_bias_;
  bool share_bias_ = false;
  std::vector<int> row_token_;
};

// Both are in the scale of `expected`. `magnitudes` are the same sums of
// |values|, to which the error is relative; more of weighted sums is part of
// the partition.
inline void ExpectPartialsNear(const SoftmaxPartials& actual,
                               const SoftmaxPartials& expected,
                               const SoftmaxPartials& magnitudes,
                               double relative_error,
                               double of_partition = 0.0) {
  const double tiny = 1e4 * FLT_MIN;  // what underflows in single precision
  for (int64_t i = 0; i < expected.rows(); ++i) {
    const double max = expected.max_logit[i];
    if (std::isinf(max)) {
      ASSERT_EQ(actual.max_logit[i], max) << "query " << i;
      ASSERT_EQ(actual.partition[i], 0.0f) << "query " << i;
      continue;
    }
    const double scale = std::exp(actual.max_logit[i] - max);
    ASSERT_NEAR(scale, 1.0, relative_error) << "query " << i;
    ASSERT_NEAR(actual.partition[i] * scale, expected.partition[i],
                relative_error * expected.partition[i] + tiny)
        << "query " << i;
    for (int64_t c = 0; c < expected.weighted.cols; ++c) {
      ASSERT_NEAR(actual.weighted.row(i)[c] * scale,
                  expected.weighted.row(i)[c],
                  relative_error * magnitudes.weighted.row(i)[c] +
                      of_partition * expected.partition[i] + tiny)
          << "query " << i << " number " << c;
    }
  }
}

}  // namespace subgen
