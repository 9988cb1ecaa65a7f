// The real model is compared with another implementation: logits, greedy tokens
// and negative log-likelihoods of Hugging Face transformers on the dequantized
// weights in float32 (tests/golden/logits.json).
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "tests/support/model_file.h"

namespace subgen {
namespace {

// This says where this implementation may differ from the other: the reference
// by the other's float32 rounding, cpu by bf16 cache rows as well.
struct Backed {
  std::string backend, row_format;
  int ranks;
  double logit_bound, nll_bound;
};
const Backed kReference = {"reference", "f32", 2, 0.005, 0.001};
const Backed kCpu = {"cpu", "bf16", 1, 0.45, 0.01};

nlohmann::json Golden() {
  std::ifstream file(SUBGEN_SOURCE_DIR "/tests/golden/logits.json");
  return nlohmann::json::parse(file);
}

using EachLogits = std::function<void(int64_t, Vector<const float>)>;

// Reads in odd chunks, so that both the cache and the chunk are attended to.
void ReadTokens(const std::vector<int>& tokens, Leader& leader,
                const EachLogits& each) {
  for (size_t first = 0; first < tokens.size();) {
    const size_t count =
        std::min<size_t>(first == 0 ? 19 : 128, tokens.size() - first);
    BatchRun run{0, static_cast<int64_t>(first), {}, false, true};
    run.tokens.assign(tokens.begin() + first, tokens.begin() + first + count);
    const Matrix<const float> logits = leader.Forward({run});
    for (size_t i = 0; i < count; ++i) each(first + i, logits.row(i));
    first += count;
  }
}

// Reads `tokens` in chunks, as a prompt, and calls `each` with the logits after
// every token.
void ForEachToken(const Backed& backed, const std::vector<int>& tokens,
                  const EachLogits& each) {
  EngineConfig config;
  config.model = SmolModelPath();
  config.backend = backed.backend;
  config.cache.policy = "exact";
  config.prefill_chunk = 128;
  config.cache.row_format = backed.row_format;
  const absl::Status status = RunThreadRanks(
      backed.ranks, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        ASSIGN_OR_RETURN(const Model model, LoadModel(config));
        ASSIGN_OR_RETURN(auto engine, Engine::Make(config, model, {4096, 2},
                                                   std::move(world)));
        return engine->Run([&](Engine& leading) {
          ReadTokens(tokens, leading.leader(), each);
          return absl::OkStatus();
        });
      });
  EXPECT_TRUE(status.ok()) << status;
}

// Checks one golden prompt by what another implementation says after it.
void CheckPrompt(const Backed& backed, const nlohmann::json& golden) {
  const std::vector<int> prompt = golden["prompt_tokens"];
  const std::vector<int> greedy = golden["greedy_tokens"];
  const std::vector<double> margins = golden["greedy_margin"];
  std::vector<int> tokens = prompt;
  tokens.insert(tokens.end(), greedy.begin(), greedy.end() - 1);
  const int64_t last = static_cast<int64_t>(prompt.size()) - 1;
  double nll = 0.0, largest = 0.0;
  ForEachToken(backed, tokens, [&](int64_t i, Vector<const float> logits) {
    if (i < last) nll += NegativeLogLikelihood(logits, tokens[i + 1]) / last;
    if (i == last) {
      for (const auto& [token, logit] :
           golden["last_logits_top10"]
               .get<std::vector<std::pair<int, double>>>()) {
        EXPECT_NEAR(logits[token], logit, backed.logit_bound) << token;
        largest = std::max(largest, std::abs(logits[token] - logit));
      }
    }
    if (i >= last && margins[i - last] > 0.5) {
      EXPECT_EQ(TopLogits(logits, 1)[0].token, greedy[i - last])
          << "step " << i - last;
    }
  });
  EXPECT_NEAR(nll, golden["mean_prompt_nll"].get<double>(), backed.nll_bound);
  testing::Test::RecordProperty("largest_logit_difference",
                                absl::StrCat(largest));
}

void CheckPrompts(const Backed& backed) {
  if (!HaveSmolModel()) {
    GTEST_SKIP() << "no model file at " << SmolModelPath()
                 << ": run launch/fetch_model.sh";
  }
  for (const nlohmann::json& golden : Golden()) {
    if (golden["kind"] == "perplexity") continue;
    SCOPED_TRACE(golden["prompt"].get<std::string>());
    CheckPrompt(backed, golden);
  }
}

// Checks the mean negative log-likelihood of the first 2,048 tokens of the
// GPL's text, as the other implementation cut it into tokens.
void CheckText(const Backed& backed) {
  if (!HaveSmolModel()) GTEST_SKIP() << "no model at " << SmolModelPath();
  std::ifstream file(SUBGEN_SOURCE_DIR "/tests/golden/gpl3_tokens.json");
  const std::vector<int> tokens = nlohmann::json::parse(file);
  const int64_t last = static_cast<int64_t>(tokens.size()) - 1;
  double nll = 0.0;
  ForEachToken(backed, tokens, [&](int64_t i, Vector<const float> logits) {
    if (i == last) return;
    nll += NegativeLogLikelihood(logits, tokens[i + 1]) / last;
  });
  for (const nlohmann::json& golden : Golden()) {
    if (golden["kind"] != "perplexity") continue;
    EXPECT_NEAR(nll, golden["mean_nll"].get<double>(), backed.nll_bound);
  }
}

TEST(GoldenTest, ReferencePrompts) { CheckPrompts(kReference); }
TEST(GoldenTest, CpuPrompts) { CheckPrompts(kCpu); }
TEST(GoldenTest, CpuText) { CheckText(kCpu); }
TEST(GoldenTest, ReferenceText) { CheckText(kReference); }

// Nothing is forced: generation step by step gives the other's greedy text.
TEST(GoldenTest, GreedyTextThroughTheScheduler) {
  if (!HaveSmolModel()) GTEST_SKIP() << "no model file";
  const nlohmann::json golden = Golden()[0];
  EngineConfig config;
  config.model = SmolModelPath();
  config.cache.policy = "exact";
  const Model model = *LoadModel(config);
  auto engine = *Engine::Make(config, model, {128, 2}, MakeSingleRank());
  GenerationRequest request;
  request.prompt = golden["prompt_tokens"].get<std::vector<int>>();
  const int slot = *engine->scheduler().Open();
  const GenerationResult result =
      *engine->scheduler().Generate(slot, std::move(request));
  EXPECT_EQ(result.tokens, golden["greedy_tokens"].get<std::vector<int>>());
  EXPECT_EQ(result.text + "<|im_end|>", golden["greedy_text"]);
  EXPECT_EQ(result.finish_reason, "end_of_turn");
}

}  // namespace
}  // namespace subgen
