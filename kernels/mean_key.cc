#include "kernels/mean_key.h"

#include <algorithm>
#include <cmath>

namespace subgen {
namespace {

// Returns 0 if the key has no direction.
double InverseLength(Vector<const float> key) {
  double sum = 0.0;
  for (const float x : key) sum += static_cast<double>(x) * x;
  return sum > 0.0 && std::isfinite(sum) ? 1.0 / std::sqrt(sum) : 0.0;
}

}  // namespace

void MeanKey::Add(Vector<const float> key) {
  const double scale = InverseLength(key);
  if (scale == 0.0) return;
  for (size_t i = 0; i < sum_.size(); ++i) sum_[i] += scale * key[i];
}

float MeanKey::Alignment(Vector<const float> key) const {
  const double scale = InverseLength(key);
  if (scale == 0.0) return 0.0f;
  double dot = 0.0;
  for (size_t i = 0; i < sum_.size(); ++i) dot += sum_[i] * key[i];
  return static_cast<float>(scale * dot);
}

float MeanKey::AlignmentAt(float squared) const {
  return static_cast<float>(Length() * (1.0 - 0.5 * squared));
}

std::vector<float> MeanKey::Direction() const {
  const double length = Length(), scale = length > 0.0 ? 1.0 / length : 0.0;
  std::vector<float> direction;
  for (const double x : sum_) {
    direction.push_back(static_cast<float>(scale * x));
  }
  return direction;
}

void MeanKey::Weigh(Vector<const float> alignments, int exponent,
                    Vector<float> weights) const {
  const double length = Length();
  const float scale = static_cast<float>(length > 0.0 ? 1.0 / length : 0.0);
  for (size_t i = 0; i < weights.size(); ++i) {
    const float away = std::max(0.0f, 1.0f - scale * alignments[i]);
    weights[i] = away * away;
  }
  // The loop over exponents is the outer one, so that the compiler can
  // vectorize the inner loops.
  std::vector<float> squares(weights.begin(), weights.end());
  for (int n = 1; n < exponent; ++n) {
    for (size_t i = 0; i < weights.size(); ++i) weights[i] *= squares[i];
  }
}

double MeanKey::Length() const {
  double sum = 0.0;
  for (const double x : sum_) sum += x * x;
  return std::sqrt(sum);
}

}  // namespace subgen
