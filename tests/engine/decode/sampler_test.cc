#include "engine/decode/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace subgen {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, -1.0f};

SamplingConfig Warm() {
  SamplingConfig config;
  config.temperature = 1.0;
  return config;
}

// How often each token comes, over positions 0..n-1.
std::map<int, int> Draw(const SamplingConfig& config, int n) {
  std::map<int, int> counts;
  for (int position = 0; position < n; ++position) {
    counts[*Sampler(config).Sample(kLogits, {}, position)] += 1;
  }
  return counts;
}

TEST(TopLogitsTest, BestFirstAndTiesById) {
  const std::vector<float> logits = {1.0f, 5.0f, 5.0f, 7.0f};
  const std::vector<TokenLogit> top = TopLogits(logits, 3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].token, 3);
  EXPECT_EQ(top[1].token, 1);
  EXPECT_EQ(top[2].token, 2);
  EXPECT_EQ(TopLogits(logits, 9).size(), 4u);
}

TEST(NegativeLogLikelihoodTest, OfTwoTokensByHand) {
  const std::vector<float> logits = {0.0f, std::log(3.0f)};
  EXPECT_NEAR(NegativeLogLikelihood(logits, 1), -std::log(0.75), 1e-7);
  EXPECT_NEAR(NegativeLogLikelihood(logits, 0), -std::log(0.25), 1e-7);
}

TEST(SamplerTest, TemperatureZeroTakesTheBest) {
  EXPECT_EQ(*Sampler({}).Sample(kLogits, {}, 5), 1);
}

TEST(SamplerTest, FrequenciesFollowTheSoftmax) {
  constexpr int kDraws = 20000;
  SamplingConfig config = Warm();
  config.temperature = 0.7;
  const std::map<int, int> counts = Draw(config, kDraws);
  double sum = 0.0;
  for (const float logit : kLogits) sum += std::exp(logit / 0.7);
  for (int token = 0; token < 4; ++token) {
    const double p = std::exp(kLogits[token] / 0.7) / sum;
    const int seen = counts.contains(token) ? counts.at(token) : 0;
    EXPECT_NEAR(seen, kDraws * p, 5 * std::sqrt(kDraws * p * (1 - p)))
        << token;  // five sigma, fixed seeds
  }
}

TEST(SamplerTest, TopKKeepsTheKBest) {
  SamplingConfig config = Warm();
  config.top_k = 2;
  const std::map<int, int> counts = Draw(config, 2000);
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_TRUE(counts.contains(1) && counts.contains(2));
}

TEST(SamplerTest, TopPKeepsTheSmallestSetWithThatMass) {
  SamplingConfig config = Warm();
  // Probabilities 0.661, 0.243, 0.089, 0.012: two of them reach 0.7.
  config.top_p = 0.7;
  EXPECT_EQ(Draw(config, 2000).size(), 2u);
  config.top_p = 0.6;
  EXPECT_EQ(Draw(config, 2000).size(), 1u);
}

TEST(SamplerTest, MinPKeepsWhatIsLikelyEnoughAgainstTheBest) {
  SamplingConfig config = Warm();
  // exp(2 - 3) = 0.368 and exp(1 - 3) = 0.135 of the best.
  config.min_p = 0.2;
  EXPECT_EQ(Draw(config, 2000).size(), 2u);
  config.min_p = 0.1;
  EXPECT_EQ(Draw(config, 2000).size(), 3u);
}

TEST(SamplerTest, PenaltyDividesPositiveAndMultipliesNegativeLogits) {
  SamplingConfig config;
  config.repetition_penalty = 2.0;
  // 3 / 2 falls below 2.
  EXPECT_EQ(*Sampler(config).Sample(kLogits, std::vector<int>{1, 1}, 0), 2);
  const std::vector<float> negative = {-1.0f, -1.5f};
  EXPECT_EQ(*Sampler(config).Sample(negative, std::vector<int>{0}, 0), 1);
  config.repetition_window = 1;  // token 1 is out of the window
  EXPECT_EQ(*Sampler(config).Sample(kLogits, std::vector<int>{1, 0}, 0), 1);
}

TEST(SamplerTest, TheDrawIsAFunctionOfSeedAndPosition) {
  SamplingConfig config = Warm();
  config.temperature = 5.0;
  std::vector<int> first, second, other;
  for (int position = 0; position < 200; ++position) {
    first.push_back(*Sampler(config).Sample(kLogits, {}, position));
    second.push_back(*Sampler(config).Sample(kLogits, {}, position));
  }
  config.seed = 2;
  for (int position = 0; position < 200; ++position) {
    other.push_back(*Sampler(config).Sample(kLogits, {}, position));
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
}

TEST(SamplerTest, LogitsThatAreNotFiniteAreAnError) {
  const std::vector<float> bad = {1.0f,
                                  std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(Sampler({}).Sample(bad, {}, 7).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace subgen
