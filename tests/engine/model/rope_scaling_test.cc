#include "engine/model/rope_scaling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace subgen {
namespace {

RopeScaling::Type TypeOf(const std::string& name) {
  if (name == "linear") return RopeScaling::Type::kLinear;
  if (name == "llama3") return RopeScaling::Type::kLlama3;
  if (name == "yarn") return RopeScaling::Type::kYarn;
  return RopeScaling::Type::kNone;
}

// The numbers are those of tests/golden/make_rope_frequencies.py.
TEST(RopeScalingTest, EqualsThePublishedFormulas) {
  std::ifstream file(SUBGEN_SOURCE_DIR "/tests/golden/rope_frequencies.json");
  const auto cases = nlohmann::json::parse(file);
  ASSERT_EQ(cases.size(), 7u);
  for (const auto& expected : cases) {
    SCOPED_TRACE(expected["scaling"].get<std::string>());
    RopeParameters parameters;
    parameters.dimension = expected["dimension"];
    parameters.frequency_base = expected["base"];
    RopeScaling& scaling = parameters.scaling;
    scaling.type = TypeOf(expected["scaling"]);
    scaling.factor = expected["factor"];
    scaling.original_context = expected["context"];
    scaling.beta_fast = expected.value("beta_fast", 32.0);
    scaling.beta_slow = expected.value("beta_slow", 1.0);

    const Rotary rotary = MakeRotary(parameters);

    const auto& frequencies = expected["inverse_frequency"];
    ASSERT_EQ(rotary.inverse_frequency.size(), frequencies.size());
    for (size_t i = 0; i < frequencies.size(); ++i) {
      // Both sides round some ten times in double; a power has an error of its
      // exponent times ln(base) < 14 roundings more.
      const double value = frequencies[i];
      EXPECT_NEAR(rotary.inverse_frequency[i], value, 32 * 0x1p-53 * value)
          << "pair " << i;
    }
    EXPECT_NEAR(rotary.magnitude, expected["magnitude"].get<double>(), 1e-15);
  }
}

TEST(RopeScalingTest, FrequencyDivisorsAreAnotherWayToWriteLlama3) {
  RopeParameters llama3;
  llama3.dimension = 64;
  llama3.frequency_base = 500000.0;
  llama3.scaling = {.type = RopeScaling::Type::kLlama3,
                    .factor = 32.0,
                    .original_context = 8192};
  RopeParameters plain = llama3;
  plain.scaling = RopeScaling();
  const Rotary expected = MakeRotary(llama3), unscaled = MakeRotary(plain);
  for (int i = 0; i < 32; ++i) {
    plain.frequency_divisors.push_back(unscaled.inverse_frequency[i] /
                                       expected.inverse_frequency[i]);
  }

  const Rotary rotary = MakeRotary(plain);

  for (int i = 0; i < 32; ++i) {  // divisors are floats: half an ulp, 2^-24
    EXPECT_NEAR(rotary.inverse_frequency[i] / expected.inverse_frequency[i],
                1.0, 0x1p-23);
  }
}

TEST(RopeScalingTest, YarnMagnitudeFollowsItsKeys) {
  RopeParameters parameters;
  parameters.dimension = 64;
  parameters.scaling = {.type = RopeScaling::Type::kYarn,
                        .factor = 4.0,
                        .original_context = 2048};
  const double plain = 1.0 + 0.1 * std::log(4.0);
  EXPECT_NEAR(MakeRotary(parameters).magnitude, plain, 1e-15);
  parameters.scaling.attention_factor = 0.5;
  EXPECT_NEAR(MakeRotary(parameters).magnitude, plain / 2, 1e-15);
  parameters.scaling.log_multiplier = 0.7;
  EXPECT_NEAR(MakeRotary(parameters).magnitude,
              plain / 2 / (1.0 + 0.07 * std::log(4.0)), 1e-15);
}

// None of the unchanged angle would be linear scaling; half of it lies between.
TEST(RopeScalingTest, YarnExtrapolationIsAShareOfTheUnchangedAngle) {
  RopeParameters parameters;
  parameters.dimension = 64;
  parameters.scaling = {.type = RopeScaling::Type::kYarn,
                        .factor = 4.0,
                        .original_context = 2048};
  const Rotary whole = MakeRotary(parameters);
  parameters.scaling.extrapolation = 0.5;
  const Rotary half = MakeRotary(parameters);
  parameters.scaling.type = RopeScaling::Type::kLinear;
  const Rotary linear = MakeRotary(parameters);
  for (int i = 0; i < 32; ++i) {
    const double middle =
        (whole.inverse_frequency[i] + linear.inverse_frequency[i]) / 2;
    EXPECT_NEAR(half.inverse_frequency[i], middle, 1e-14 * middle);
  }
}

}  // namespace
}  // namespace subgen
