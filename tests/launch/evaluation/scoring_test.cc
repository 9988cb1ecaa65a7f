#include "launch/evaluation/scoring.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/decode/engine.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

std::vector<int> Tokens(int count) {
  std::vector<int> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * i + 7) % 256);
  return tokens;
}

class ScoringTest : public testing::Test {
 protected:
  void SetUp() override {
    config_.model = WriteToyModel({}, "scoring");
    config_.backend = "reference";
    config_.prefill_chunk = 64;
    config_.cache.row_format = "f32";
    model_ = *LoadModel(config_);
    engine_ = *Engine::Make(config_, model_, {100, 1}, MakeSingleRank());
  }
  std::vector<double> Score(ScoredText text) {
    engine_->leader().Forget(0);
    return subgen::Score(engine_->leader(), text);
  }

  EngineConfig config_;
  Model model_;
  std::unique_ptr<Engine> engine_;
};

// These are logits of each prefix alone, and the logarithm of their softmax in
// plain loops.
TEST_F(ScoringTest, IsTheLikelihoodOfEachTokenAfterItsPrefix) {
  const std::vector<int> tokens = Tokens(20);
  ScoredText text{tokens, 12, 9, 5};
  const std::vector<double> scores = Score(text);
  ASSERT_EQ(scores.size(), 11u);
  for (size_t next = 9; next < tokens.size(); ++next) {
    engine_->leader().Forget(0);
    BatchRun run;
    run.tokens.assign(tokens.begin(), tokens.begin() + next);
    const Matrix<const float> logits = engine_->leader().Forward({run});
    double sum = 0.0;
    for (const float logit : logits.row(0)) sum += std::exp(double{logit});
    EXPECT_NEAR(scores[next - 9], std::log(sum) - logits.row(0)[tokens[next]],
                1e-4);
  }
}

TEST_F(ScoringTest, StepsAndPromptsDoNotMatterWhereNothingIsCompressed) {
  const std::vector<double> whole = Score({Tokens(50), 30, 30, 64});
  ASSERT_EQ(whole.size(), 20u);
  for (const int64_t chunk : {1, 7, 30, 31}) {
    for (const int64_t prompt : {1, 29, 30, 50}) {
      const std::vector<double> scores = Score({Tokens(50), prompt, 30, chunk});
      ASSERT_EQ(scores.size(), whole.size());
      for (size_t i = 0; i < whole.size(); ++i) {
        EXPECT_NEAR(scores[i], whole[i], 1e-4) << chunk << " " << prompt;
      }
    }
  }
}

TEST_F(ScoringTest, FromTheFirstTokenOnItIsTheSchedulersScore) {
  GenerationRequest request;
  request.prompt = Tokens(40);
  request.max_tokens = 1;
  request.score_prompt = true;
  const int slot = *engine_->scheduler().Open();
  const std::vector<double> nll =
      engine_->scheduler().Generate(slot, request)->prompt_nll;
  const std::vector<double> scores = Score({Tokens(40), 40, 1, 9});
  ASSERT_EQ(scores.size(), nll.size());
  for (size_t i = 0; i < nll.size(); ++i) EXPECT_NEAR(scores[i], nll[i], 1e-4);
}

}  // namespace
}  // namespace subgen
