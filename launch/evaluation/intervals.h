// Estimates have 95 % confidence intervals, over texts or questions.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/memory/view.h"

namespace subgen {

// low and high are NaN if n is too small to tell.
struct Estimate {
  double value = 0.0;
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  int64_t n = 0;
};

// Estimates the mean, by Student's t. At least one sample is needed.
Estimate MeanEstimate(Vector<const double> samples);

// Estimates exp of the mean of logarithms, with the interval of the mean
// carried over: perplexity from the mean negative log-likelihood of each text.
Estimate GeometricEstimate(Vector<const double> logarithms);

// Estimates a share, by Wilson's score interval (1927). 0 <= right <= asked,
// asked >= 1.
Estimate ShareEstimate(int64_t right, int64_t asked);

// Returns the quantile of Student's t: P(|T| < quantile) = 0.95, for `freedom`
// >= 1 degrees. Three digits are right.
double StudentQuantile(int64_t freedom);

}  // namespace subgen
