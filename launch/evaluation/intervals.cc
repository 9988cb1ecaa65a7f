#include "launch/evaluation/intervals.h"

#include <cmath>
#include <iterator>
#include <numeric>

namespace subgen {
namespace {

constexpr double kNormalQuantile = 1.959963985;

}  // namespace

double StudentQuantile(int64_t freedom) {
  SUBGEN_CHECK(freedom >= 1);
  constexpr double kSmall[] = {12.706, 4.303, 3.182, 2.776, 2.571,
                               2.447,  2.365, 2.306, 2.262};
  if (freedom <= std::ssize(kSmall)) return kSmall[freedom - 1];
  // This is the Cornish-Fisher expansion in 1 / freedom (Abramowitz and Stegun,
  // 26.7.5).
  const double z = kNormalQuantile, f = static_cast<double>(freedom);
  const double z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  return z + (z3 + z) / (4 * f) + (5 * z5 + 16 * z3 + 3 * z) / (96 * f * f) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * f * f * f);
}

Estimate MeanEstimate(Vector<const double> samples) {
  SUBGEN_CHECK(!samples.empty());
  Estimate estimate;
  estimate.n = static_cast<int64_t>(samples.size());
  const double n = static_cast<double>(estimate.n);
  estimate.value = std::accumulate(samples.begin(), samples.end(), 0.0) / n;
  if (estimate.n < 2) return estimate;
  double squares = 0.0;
  for (const double sample : samples) {
    squares += (sample - estimate.value) * (sample - estimate.value);
  }
  const double half =
      StudentQuantile(estimate.n - 1) * std::sqrt(squares / (n - 1) / n);
  estimate.low = estimate.value - half;
  estimate.high = estimate.value + half;
  return estimate;
}

Estimate GeometricEstimate(Vector<const double> logarithms) {
  Estimate estimate = MeanEstimate(logarithms);
  estimate.value = std::exp(estimate.value);
  estimate.low = std::exp(estimate.low);
  estimate.high = std::exp(estimate.high);
  return estimate;
}

Estimate ShareEstimate(int64_t right, int64_t asked) {
  SUBGEN_CHECK(asked >= 1 && right >= 0 && right <= asked);
  const double n = static_cast<double>(asked), z = kNormalQuantile;
  const double share = static_cast<double>(right) / n;
  const double middle = (share + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) *
                      std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  // If the share is 0 or 1, so is one bound, but for rounding.
  const double low = right == 0 ? 0.0 : middle - half;
  const double high = right == asked ? 1.0 : middle + half;
  return {share, low, high, asked};
}

}  // namespace subgen
