#include "engine/model/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/base/check.h"

namespace subgen {
namespace {

constexpr double kTurn = 2.0 * std::numbers::pi;

double Llama3(const RopeScaling& scaling, double frequency) {
  const double wavelength = kTurn / frequency;
  const double turns = scaling.original_context / wavelength;
  const double low = scaling.low_frequency_factor;
  const double high = scaling.high_frequency_factor;
  const double unchanged = std::clamp((turns - low) / (high - low), 0.0, 1.0);
  return (unchanged + (1.0 - unchanged) / scaling.factor) * frequency;
}

// Returns the pair, as a real number, that is rotated so many times by a full
// circle within the original context.
double PairOfTurns(const RopeParameters& parameters, double turns) {
  const double ratio = parameters.scaling.original_context / (turns * kTurn);
  return parameters.dimension * std::log(ratio) /
         (2.0 * std::log(parameters.frequency_base));
}

// Pairs below `first` keep their frequency, pairs from `last` on are stretched,
// with a linear ramp between.
double Yarn(const RopeParameters& parameters, int64_t pair, double frequency) {
  const RopeScaling& scaling = parameters.scaling;
  const double first =
      std::max(0.0, std::floor(PairOfTurns(parameters, scaling.beta_fast)));
  const double last =
      std::min(parameters.dimension - 1.0,
               std::ceil(PairOfTurns(parameters, scaling.beta_slow)));
  const double width = std::max(0.001, last - first);
  const double ramp = std::clamp((pair - first) / width, 0.0, 1.0);
  const double unchanged = (1.0 - ramp) * scaling.extrapolation;
  return (unchanged + (1.0 - unchanged) / scaling.factor) * frequency;
}

// Returns the temperature of attention, as a factor on queries and keys.
double YarnMagnitude(const RopeScaling& scaling) {
  const auto magnitude = [&](double multiplier) {
    if (scaling.factor <= 1.0) return 1.0;
    return 0.1 * multiplier * std::log(scaling.factor) + 1.0;
  };
  const double all =
      scaling.log_multiplier == 0.0 ? 1.0 : magnitude(scaling.log_multiplier);
  return scaling.attention_factor * magnitude(1.0) / all;
}

double Scaled(const RopeParameters& parameters, int64_t pair,
              double frequency) {
  const RopeScaling& scaling = parameters.scaling;
  switch (scaling.type) {
    case RopeScaling::Type::kNone:
      return frequency;
    case RopeScaling::Type::kLinear:
      return frequency / scaling.factor;
    case RopeScaling::Type::kLlama3:
      return Llama3(scaling, frequency);
    case RopeScaling::Type::kYarn:
      return Yarn(parameters, pair, frequency);
  }
  Fatal("rope scaling out of range");
}

}  // namespace

Rotary MakeRotary(const RopeParameters& parameters) {
  Rotary rotary;
  rotary.interleaved = parameters.interleaved;
  if (parameters.scaling.type == RopeScaling::Type::kYarn) {
    rotary.magnitude = YarnMagnitude(parameters.scaling);
  }
  for (int64_t i = 0; i < parameters.dimension / 2; ++i) {
    double frequency =
        std::pow(parameters.frequency_base, -2.0 * i / parameters.dimension);
    if (!parameters.frequency_divisors.empty()) {
      frequency /= parameters.frequency_divisors[i];
    }
    rotary.inverse_frequency.push_back(Scaled(parameters, i, frequency));
  }
  return rotary;
}

}  // namespace subgen
