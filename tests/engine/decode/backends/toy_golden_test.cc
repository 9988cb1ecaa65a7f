// Tiny models of every architecture and rope scaling are compared with numpy in
// float64 (tests/golden/make_toy_logits.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "tests/engine/decode/backends/golden_case.h"

namespace subgen {
namespace {

constexpr char kFolder[] = SUBGEN_SOURCE_DIR "/tests/golden/toy/";
constexpr const char* kModels[] = {
    "llama_rope_freqs", "llama_yarn", "llama_linear",
    "mistral",          "qwen2",      "qwen3"};

struct Case {
  std::string model;
  GoldenBackend backend;
  int ranks;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.model; }

nlohmann::json Golden() {
  std::ifstream file(absl::StrCat(kFolder, "logits.json"));
  return nlohmann::json::parse(file);
}

// "rounding" is the largest change in 32 draws of what float32 can do to sums
// and to stored numbers. Twice that leaves room for what is not drawn: exp, the
// merges of partials.
double Bound(const nlohmann::json& golden, const std::string& rounding) {
  return 2.0 * golden["rounding"][rounding].get<double>();
}

EngineConfig ConfigOf(const Case& param) {
  EngineConfig config;
  config.model = absl::StrCat(kFolder, param.model, ".gguf");
  config.backend = param.backend.name;
  config.cache.policy = "exact";
  config.prefill_chunk = 16;
  config.cache.row_format = "f32";
  return config;
}

using Logits = std::vector<std::vector<float>>;  // [tokens][vocabulary]

// Reads the prompt in two chunks and a decoded token, so that both the cache
// and the chunk are attended to, and with two token shards both hold something.
void ReadTokens(const std::vector<int>& tokens, Leader& leader, Logits* all) {
  int64_t first = 0;
  for (const int64_t end :
       {int64_t{7}, std::ssize(tokens) - 1, std::ssize(tokens)}) {
    BatchRun run{0, first, {}, false, true};
    run.tokens.assign(tokens.begin() + first, tokens.begin() + end);
    const Matrix<const float> logits = leader.Forward({run});
    for (int64_t i = 0; i < logits.rows; ++i) {
      all->emplace_back(logits.row(i).begin(), logits.row(i).end());
    }
    first = end;
  }
}

absl::Status ReadOnRank(const EngineConfig& config,
                        const std::vector<int>& tokens,
                        std::unique_ptr<Communicator> world, Logits* all) {
  ASSIGN_OR_RETURN(const Model model, LoadModel(config));
  ASSIGN_OR_RETURN(auto engine,
                   Engine::Make(config, model, {64, 2}, std::move(world)));
  return engine->Run([&](Engine& leading) {
    ReadTokens(tokens, leading.leader(), all);
    return absl::OkStatus();
  });
}

class ToyGoldenTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const std::string missing = MissingDevice(GetParam().backend.name);
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
};

TEST_P(ToyGoldenTest, LogitsEqualNumpy) {
  const nlohmann::json golden = Golden()[GetParam().model];
  const std::vector<int> tokens = golden["prompt"];
  const std::vector<double> expected = golden["last_logits"];
  const double bound = Bound(golden, GetParam().backend.rounding);
  const EngineConfig config = ConfigOf(GetParam());
  Logits logits;
  const absl::Status status = RunThreadRanks(
      GetParam().ranks, [&](std::unique_ptr<Communicator> world) {
        return ReadOnRank(config, tokens, std::move(world), &logits);
      });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(logits.size(), tokens.size());
  ASSERT_EQ(logits.back().size(), expected.size());
  double largest = 0.0, nll = 0.0;
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(logits.back()[i], expected[i], bound) << "token " << i;
    largest = std::max(largest, std::abs(logits.back()[i] - expected[i]));
  }
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    nll += NegativeLogLikelihood(logits[i], tokens[i + 1]);
  }
  // It is no further off than twice the logits that it is a difference of.
  EXPECT_NEAR(nll / (tokens.size() - 1), golden["mean_nll"].get<double>(),
              2.0 * bound);
  RecordProperty("largest_difference_over_bound",
                 absl::StrCat(largest / bound));
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* model : kModels) {
    for (const GoldenBackend& backend : GoldenBackends()) {
      for (const int ranks : {1, 2}) cases.push_back({model, backend, ranks});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, ToyGoldenTest, testing::ValuesIn(Cases()),
                         [](const auto& info) {
                           const Case& c = info.param;
                           return absl::StrCat(c.model, "_", c.backend.name,
                                               "_", c.ranks, "_ranks");
                         });

// A bound that would let a mistake pass tests nothing.
TEST(ToyGoldenFilesTest, BoundsAreBelowMistakes) {
  const nlohmann::json all = Golden();
  for (const auto& [model, golden] : all.items()) {
    for (const auto& [mistake, change] : golden["mistakes"].items()) {
      EXPECT_GT(change.get<double>(), 10 * Bound(golden, "reference"))
          << model << ": " << mistake;
      EXPECT_GT(change.get<double>(), 2 * Bound(golden, "cpu"))
          << model << ": " << mistake;
    }
  }
}

TEST(ToyGoldenFilesTest, EveryFileIsTested) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".gguf") {
      files.push_back(entry.path().stem());
    }
  }
  EXPECT_THAT(files, testing::UnorderedElementsAreArray(kModels));
}

}  // namespace
}  // namespace subgen
