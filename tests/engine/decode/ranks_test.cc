// The number of ranks does not change the answer of the real model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "tests/support/model_file.h"

namespace subgen {
namespace {

constexpr char kPrompt[] =
    "The three laws of thermodynamics are:\n1. Energy cannot be created or "
    "destroyed.\n2.";

// Returns greedy tokens with their best logits, on ranks as threads.
GenerationResult Generate(const EngineConfig& config, int ranks) {
  GenerationResult result;
  const absl::Status status = RunThreadRanks(
      ranks, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        ASSIGN_OR_RETURN(const Model model, LoadModel(config));
        ASSIGN_OR_RETURN(auto engine, Engine::Make(config, model, {128, 1},
                                                   std::move(world)));
        return engine->Run([&](Engine& leading) -> absl::Status {
          GenerationRequest request;
          ASSIGN_OR_RETURN(request.prompt,
                           EncodeRaw(*model.tokenizer, kPrompt));
          request.max_tokens = 24;
          request.logprobs = 10;
          Scheduler& scheduler = leading.scheduler();
          ASSIGN_OR_RETURN(const int slot, scheduler.Open());
          ASSIGN_OR_RETURN(result,
                           scheduler.Generate(slot, std::move(request)));
          return absl::OkStatus();
        });
      });
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

// Ranks add the same numbers in another order. In float32 each of the two sums
// over ranks of a layer is off by at most a few epsilon of the residual stream;
// the factor of 16 is for what softmax and SiLU make of it. Relative to the
// logits that the stream is projected to:
double RoundingBound(int layers, double largest_logit) {
  const double eps = std::numeric_limits<float>::epsilon();
  return 16.0 * layers * 2 * 4 * eps * largest_logit;
}

struct Grid {
  int head_shards, token_shards;
};

class RealRanksTest : public testing::TestWithParam<Grid> {};

TEST_P(RealRanksTest, SayWhatOneRankSays) {
  if (!HaveSmolModel()) GTEST_SKIP() << "no model at " << SmolModelPath();
  EngineConfig config;
  config.model = SmolModelPath();
  config.cache.policy = "exact";
  config.cache.row_format = "f32";
  const GenerationResult one = Generate(config, 1);
  config.ranks.head_shards = GetParam().head_shards;
  config.ranks.token_shards = GetParam().token_shards;
  config.ranks.token_block = 4;
  const GenerationResult many =
      Generate(config, GetParam().head_shards * GetParam().token_shards);

  EXPECT_EQ(one.tokens.size(), 24u);
  EXPECT_EQ(many.tokens, one.tokens);
  double difference = 0.0, largest = 0.0;
  for (size_t i = 0; i < one.top_logits.size(); ++i) {
    for (size_t j = 0; j < 10; ++j) {
      const double logit = one.top_logits[i][j].logit;
      difference =
          std::max(difference, std::abs(many.top_logits[i][j].logit - logit));
      largest = std::max(largest, std::abs(logit));
    }
  }
  std::printf("largest logit difference %.2e, bound %.2e\n", difference,
              RoundingBound(30, largest));
  EXPECT_LE(difference, RoundingBound(30, largest));
}

INSTANTIATE_TEST_SUITE_P(Grids, RealRanksTest,
                         testing::Values(Grid{2, 1}, Grid{1, 2}, Grid{3, 1},
                                         Grid{2, 2}, Grid{3, 2}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.head_shards, "x",
                                               info.param.token_shards);
                         });

}  // namespace
}  // namespace subgen
