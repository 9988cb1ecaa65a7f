#include "engine/decode/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

namespace subgen {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, -1.0f};

SamplingConfig Warm() {
  SamplingConfig config;
  config.temperature = 1.0;
  return config;
}

// Counts how often each token comes, over positions 0..n-1.
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
  // Probabilities are 0.661, 0.243, 0.089, 0.012: two of them reach 0.7.
  config.top_p = 0.7;
  EXPECT_EQ(Draw(config, 2000).size(), 2u);
  config.top_p = 0.6;
  EXPECT_EQ(Draw(config, 2000).size(), 1u);
}

TEST(SamplerTest, MinPKeepsWhatIsLikelyEnoughAgainstTheBest) {
  SamplingConfig config = Warm();
  // The others are exp(2 - 3) = 0.368 and exp(1 - 3) = 0.135 of the best.
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

// Returns the top of a row as Backend::Top gives it, by hand.
RowTop TopOf(Vector<const float> logits, const TopNeed& need) {
  RowTop top;
  top.columns = logits.size();
  for (const TokenLogit& best :
       TopLogits(logits, static_cast<int>(need.most))) {
    top.best.push_back({best.logit, best.token});
  }
  for (const float x : logits) {
    top.sum += std::exp(need.scale * (x - double{top.best[0].value}));
    top.finite &= std::isfinite(x);
  }
  return top;
}

struct TopCase {
  const char* name;
  SamplingConfig config;
  double least_decided;  // part of the rows
};

std::vector<TopCase> TopCases() {
  SamplingConfig greedy, top_k = Warm(), top_p = Warm(), min_p = Warm();
  top_k.top_k = 40;
  top_p.top_p = 0.8;
  min_p.min_p = 0.3;
  SamplingConfig cold = top_p, all = top_k, penalty = top_k, greedy_penalty;
  cold.temperature = 0.6;
  all.top_p = 0.9;
  all.min_p = 0.1;
  penalty.repetition_penalty = 1.5;
  greedy_penalty.repetition_penalty = 3.0;
  return {{"greedy", greedy, 1.0},
          {"top_k", top_k, 1.0},
          {"top_p", top_p, 0.3},  // logits of large spread
          {"cold top_p", cold, 0.3},
          {"min_p", min_p, 0.8},
          {"all filters", all, 1.0},
          {"penalty", penalty, 1.0},
          {"greedy, penalty", greedy_penalty, 1.0}};
}

// Rows are of small and large spread, some with many equal logits.
TEST(SamplerTest, TheTopGivesTheTokenOfTheWholeRowOrNone) {
  constexpr int kRows = 300, kColumns = 1000;
  std::mt19937 random(5);
  for (const TopCase& each : TopCases()) {
    const Sampler sampler(each.config);
    const std::optional<TopNeed> need = sampler.Need();
    ASSERT_TRUE(need.has_value()) << each.name;
    ASSERT_LT(need->most, kColumns);
    int decided = 0;
    for (int row = 0; row < kRows; ++row) {
      std::normal_distribution<float> normal(0.0f, 0.5f + row % 6);
      std::vector<float> logits(kColumns);
      for (float& x : logits) {
        x = normal(random);
        if (row % 4 == 0) x = std::round(x);
      }
      std::vector<int> history;
      for (const TokenLogit& best : TopLogits(logits, 90)) {
        history.push_back(best.token);
      }
      const std::optional<int> token =
          sampler.SampleTop(TopOf(logits, *need), history, row);
      if (!token) continue;
      ++decided;
      EXPECT_EQ(*token, *sampler.Sample(logits, history, row))
          << each.name << " " << row;
    }
    EXPECT_GE(decided, each.least_decided * kRows) << each.name;
    EXPECT_GT(decided, 0);
  }
}

TEST(SamplerTest, ARowThatIsAllInItsTopIsEnough) {
  SamplingConfig config = Warm();
  config.top_p = 0.95;
  const Sampler sampler(config);
  for (int position = 0; position < 50; ++position) {
    EXPECT_EQ(sampler.SampleTop(TopOf(kLogits, *sampler.Need()), {}, position),
              *sampler.Sample(kLogits, {}, position));
  }
}

TEST(SamplerTest, WholeRowsAreNeededWhereTheTopCannotDo) {
  EXPECT_FALSE(Sampler(Warm()).Need().has_value());  // nothing is cut
  SamplingConfig config;
  config.repetition_penalty = 0.5;  // raises logits
  EXPECT_FALSE(Sampler(config).Need().has_value());
  config.repetition_penalty = 1.5;
  config.repetition_window = kMostTop;
  EXPECT_FALSE(Sampler(config).Need().has_value());
  config = Warm();
  config.top_k = kMostTop + 1;
  EXPECT_FALSE(Sampler(config).Need().has_value());
  config.top_k = 0;
  config.top_p = 0.9;
  config.repetition_penalty = 1.1;
  EXPECT_FALSE(Sampler(config).Need().has_value());
}

// A cut that the error of the sum may move is left to the whole row.
TEST(SamplerTest, ACutThatIsNotCertainIsNotDecided) {
  std::vector<float> logits(1000, -30.0f);
  logits[3] = logits[8] = 0.0f;  // half of the sum each
  SamplingConfig config = Warm();
  config.top_p = 0.5;
  const Sampler sampler(config);
  EXPECT_FALSE(
      sampler.SampleTop(TopOf(logits, *sampler.Need()), {}, 1).has_value());
  config.top_p = 0.5 + 1e-3;
  EXPECT_TRUE(Sampler(config)
                  .SampleTop(TopOf(logits, *sampler.Need()), {}, 1)
                  .has_value());
}

TEST(SamplerTest, LogitsThatAreNotFiniteAreAnError) {
  const std::vector<float> bad = {1.0f,
                                  std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(Sampler({}).Sample(bad, {}, 7).status().code(),
            absl::StatusCode::kDataLoss);
  RowTop top = {{{1.0f, 0}}, 2, 0.0, false};
  EXPECT_FALSE(Sampler({}).SampleTop(top, {}, 7).has_value());
}

}  // namespace
}  // namespace subgen
