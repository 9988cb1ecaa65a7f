#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace subgen::reference {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

// These are the log-weights with which one row enters the two sums of one
// query.
struct Logits {
  double partition = kNone;
  double value = kNone;
};

std::vector<float> DecodeAll(const Rows& rows) {
  std::vector<float> all(rows.count * rows.dim);
  for (int64_t j = 0; j < rows.count; ++j) {
    DecodeRow(rows.format, rows.row(j),
              Vector<float>(all).subspan(j * rows.dim, rows.dim));
  }
  return all;
}

double Dot(Vector<const float> query, const float* key) {
  double sum = 0.0;
  for (size_t i = 0; i < query.size(); ++i) {
    sum += static_cast<double>(query[i]) * key[i];
  }
  return sum;
}

double Bias(Vector<const float> bias, int64_t row) {
  return bias.empty() ? 0.0 : bias[row];
}

// Returns how many rows the query's token sees: all, or a prefix, as row_token
// ascends.
int64_t VisibleRows(Vector<const int> row_token, int64_t rows, int64_t token) {
  if (row_token.empty()) return rows;
  return std::upper_bound(row_token.begin(), row_token.end(), token) -
         row_token.begin();
}

// Lets one query attend to its visible rows, and merges the result into row i
// of the task's partials.
void AttendQuery(const AttentionTask& task, int64_t i,
                 const std::vector<float>& keys,
                 const std::vector<float>& values) {
  const WeightedRows& rows = task.rows;
  const int64_t dim = rows.keys.dim, value_dim = task.out.weighted.cols;
  const bool has_values = rows.values.count > 0;
  const int64_t visible =
      VisibleRows(task.row_token, rows.keys.count, i / task.group);
  std::vector<Logits> logits(visible);
  double max = kNone;
  for (int64_t j = 0; j < visible; ++j) {
    const double logit = Dot(task.queries.row(i), &keys[j * dim]);
    logits[j].partition = logit + Bias(rows.partition_bias, j);
    if (has_values) logits[j].value = logit + Bias(rows.value_bias, j);
    max = std::max({max, logits[j].partition, logits[j].value});
  }
  if (max == kNone) return;
  float max_float = static_cast<float>(max);
  max = max_float;  // both sums are relative to the number that is stored
  double partition = 0.0;
  std::vector<double> weighted(value_dim);
  for (int64_t j = 0; j < visible; ++j) {
    partition += std::exp(logits[j].partition - max);
    const double weight = std::exp(logits[j].value - max);
    if (weight == 0.0) continue;
    for (int64_t c = 0; c < value_dim; ++c) {
      weighted[c] += weight * values[j * value_dim + c];
    }
  }
  std::vector<float> row(weighted.begin(), weighted.end());
  float partition_float = static_cast<float>(partition);
  MergePartials(
      {{&max_float, 1}, {&partition_float, 1}, {row.data(), 1, value_dim}},
      task.out.Rows(i, 1));
}

}  // namespace

void Attend(const AttentionTask& task) {
  SUBGEN_CHECK(task.queries.rows == task.out.rows());
  SUBGEN_CHECK(task.rows.keys.count == 0 ||
               task.queries.cols == task.rows.keys.dim);
  const std::vector<float> keys = DecodeAll(task.rows.keys);
  const std::vector<float> values = DecodeAll(task.rows.values);
  for (int64_t i = 0; i < task.queries.rows; ++i) {
    AttendQuery(task, i, keys, values);
  }
}

void AccumulateMass(const AttentionMassTask& task) {
  SUBGEN_CHECK(static_cast<int64_t>(task.mass.size()) == task.keys.count);
  const std::vector<float> keys = DecodeAll(task.keys);
  std::vector<double> mass(task.keys.count);
  for (int64_t i = 0; i < task.queries.rows; ++i) {
    if (std::isinf(task.log_partition[i])) continue;  // saw nothing
    const int64_t visible =
        VisibleRows(task.row_token, task.keys.count, i / task.group);
    for (int64_t j = 0; j < visible; ++j) {
      mass[j] += std::exp(Dot(task.queries.row(i), &keys[j * task.keys.dim]) +
                          Bias(task.partition_bias, j) - task.log_partition[i]);
    }
  }
  for (int64_t j = 0; j < task.keys.count; ++j) {
    task.mass[j] += static_cast<float>(mass[j]);
  }
}

}  // namespace subgen::reference
