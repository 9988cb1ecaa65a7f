#include "kernels/reference/dense.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/top_numbers.h"

namespace subgen::reference {

namespace {

// Computes one feature of `tokens` tokens from `first` on. Each sum is taken in
// the order of the columns; the sums run side by side because a processor adds
// them so.
template <int tokens>
void Dots(Vector<const float> row, Matrix<const float> input, int64_t first,
          float* output, int64_t stride) {
  double sums[tokens] = {};
  for (size_t i = 0; i < row.size(); ++i) {
    for (int t = 0; t < tokens; ++t) {
      sums[t] += static_cast<double>(row[i]) *
                 input.data[(first + t) * input.stride + i];
    }
  }
  for (int t = 0; t < tokens; ++t) {
    output[(first + t) * stride] = static_cast<float>(sums[t]);
  }
}

}  // namespace

void Linear(Matrix<const float> input, const WeightMatrix& weight,
            Matrix<float> output) {
  SUBGEN_CHECK(input.cols == weight.cols && output.cols == weight.rows &&
               input.rows == output.rows);
  std::vector<float> row(weight.cols);
  for (int64_t feature = 0; feature < weight.rows; ++feature) {
    Dequantize(weight.format, weight.row(feature), row);
    float* const out = output.data + feature;
    int64_t token = 0;
    for (; token + 8 <= input.rows; token += 8) {
      Dots<8>(row, input, token, out, output.stride);
    }
    for (; token < input.rows; ++token) {
      Dots<1>(row, input, token, out, output.stride);
    }
  }
}

void Embed(const WeightMatrix& table, Vector<const int> ids,
           Matrix<float> output) {
  SUBGEN_CHECK(output.cols == table.cols &&
               output.rows == static_cast<int64_t>(ids.size()));
  for (size_t i = 0; i < ids.size(); ++i) {
    SUBGEN_CHECK(ids[i] >= 0 && ids[i] < table.rows, ids[i]);
    Dequantize(table.format, table.row(ids[i]), output.row(i));
  }
}

void RmsNorm(Matrix<const float> input, Vector<const float> gain, float epsilon,
             Matrix<float> output) {
  SUBGEN_CHECK(static_cast<int64_t>(gain.size()) == input.cols &&
               output.cols == input.cols && output.rows == input.rows);
  for (int64_t token = 0; token < input.rows; ++token) {
    double sum = 0.0;
    for (const float x : input.row(token)) sum += static_cast<double>(x) * x;
    const double scale = 1.0 / std::sqrt(sum / input.cols + epsilon);
    for (int64_t i = 0; i < input.cols; ++i) {
      output.row(token)[i] =
          static_cast<float>(input.row(token)[i] * scale * gain[i]);
    }
  }
}

void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
            int64_t head_dim, Matrix<float> heads) {
  const int64_t pairs = rotary.inverse_frequency.size();
  SUBGEN_CHECK(2 * pairs <= head_dim && heads.cols % head_dim == 0 &&
               static_cast<int64_t>(positions.size()) == heads.rows);
  for (int64_t token = 0; token < heads.rows; ++token) {
    for (int64_t first = 0; first < heads.cols; first += head_dim) {
      float* head = heads.row(token).data() + first;
      for (int64_t pair = 0; pair < pairs; ++pair) {
        const double angle = positions[token] * rotary.inverse_frequency[pair];
        const double cosine = std::cos(angle) * rotary.magnitude;
        const double sine = std::sin(angle) * rotary.magnitude;
        float& x = head[rotary.interleaved ? 2 * pair : pair];
        float& y = head[rotary.interleaved ? 2 * pair + 1 : pair + pairs];
        const double turned_x = x * cosine - y * sine;
        const double turned_y = x * sine + y * cosine;
        x = static_cast<float>(turned_x);
        y = static_cast<float>(turned_y);
      }
    }
  }
}

void GatedSilu(Matrix<const float> up, Matrix<float> gate) {
  SUBGEN_CHECK(up.rows == gate.rows && up.cols == gate.cols);
  for (int64_t token = 0; token < gate.rows; ++token) {
    for (int64_t i = 0; i < gate.cols; ++i) {
      const double x = gate.row(token)[i];
      gate.row(token)[i] =
          static_cast<float>(x / (1.0 + std::exp(-x)) * up.row(token)[i]);
    }
  }
}

void Add(Matrix<const float> x, Matrix<float> accumulator) {
  SUBGEN_CHECK(x.rows == accumulator.rows && x.cols == accumulator.cols);
  for (int64_t token = 0; token < x.rows; ++token) {
    for (int64_t i = 0; i < x.cols; ++i) {
      accumulator.row(token)[i] += x.row(token)[i];
    }
  }
}

void AddRow(Vector<const float> row, Matrix<float> matrix) {
  SUBGEN_CHECK(static_cast<int64_t>(row.size()) == matrix.cols);
  for (int64_t token = 0; token < matrix.rows; ++token) {
    for (int64_t i = 0; i < matrix.cols; ++i) matrix.row(token)[i] += row[i];
  }
}

void Top(Matrix<const float> rows, Vector<const float> scales,
         Matrix<float> output) {
  CheckTop(rows, scales, output);
  for (int64_t i = 0; i < rows.rows; ++i) {
    const Vector<const float> row = rows.row(i);
    RowTop top;
    for (const float x : row) {
      top.best.push_back({x, static_cast<int>(top.columns++)});
      top.finite &= std::isfinite(x);
    }
    std::sort(top.best.begin(), top.best.end(), IsBefore);
    for (const float x : row) {
      if (scales[i] == 0.0f) break;
      top.sum += std::exp(scales[i] * (x - double{top.best[0].value}));
    }
    top.best.resize(std::min(TopMost(output.cols), top.columns));
    WriteTop(top, output.row(i));
  }
}

}  // namespace subgen::reference
