// A policy that the engine does not know (tests/support/ring_policy.h) needs
// its row in the table and nothing else to run on every backend, in few bits,
// over head shards and token shards. Cache tests run it with shares of heads,
// saved and loaded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "tests/engine/decode/backends/golden_case.h"
#include "tests/support/ring_policy.h"
#include "tests/support/small_cache.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

struct Answer {
  std::vector<float> logits;  // of a prompt and of tokens one by one
  int64_t rows = 0;
};

struct Grid {
  int head_shards = 1, token_shards = 1;
};

absl::Status Read(Engine& engine, Answer* answer) {
  BatchRun run;
  for (int i = 0; i < 60; i += static_cast<int>(run.tokens.size())) {
    run.position = i;
    // At most 16 tokens at once, whose products no backend rounds to bf16.
    run.tokens.assign(i < 45 ? 15 : 1, 0);
    for (size_t j = 0; j < run.tokens.size(); ++j) {
      run.tokens[j] = static_cast<int>((i + j) * 37 % 256);
    }
    const Matrix<const float> logits = engine.leader().Forward({run});
    const Vector<const float> numbers = Numbers(logits);
    answer->logits.insert(answer->logits.end(), numbers.begin(), numbers.end());
  }
  answer->rows = engine.leader().Totals(0).cache_rows;
  return absl::OkStatus();
}

Answer AnswerOf(const std::string& backend, const std::string& format,
                const Grid& grid) {
  ToyModel toy;
  toy.head_dim = 32;  // a block of few bits
  EngineConfig config;
  config.model = WriteToyModel(toy, "new_policy.gguf");
  config.backend = backend;
  config.cache = SmallCache("ring", format);
  config.prefill_chunk = 16;
  config.ranks.head_shards = grid.head_shards;
  config.ranks.token_shards = grid.token_shards;
  config.ranks.token_block = 4;
  Answer answer;
  const absl::Status status = RunThreadRanks(
      grid.head_shards * grid.token_shards,
      [&](std::unique_ptr<Communicator> world) -> absl::Status {
        ASSIGN_OR_RETURN(const Model model, LoadModel(config));
        ASSIGN_OR_RETURN(auto engine, Engine::Make(config, model, {128, 1},
                                                   std::move(world)));
        return engine->Run(
            [&](Engine& leading) { return Read(leading, &answer); });
      });
  EXPECT_TRUE(status.ok()) << status;
  return answer;
}

double LargestDifference(const Answer& a, const Answer& b) {
  double largest = 0.0;
  EXPECT_EQ(a.logits.size(), b.logits.size());
  for (size_t i = 0; i < a.logits.size(); ++i) {
    largest = std::max<double>(largest, std::abs(a.logits[i] - b.logits[i]));
  }
  return largest;
}

class NewPolicyTest : public testing::TestWithParam<GoldenBackend> {};

TEST_P(NewPolicyTest, RunsOnEveryBackendInEveryFormatOverRanks) {
  const std::string missing = MissingDevice(GetParam().name);
  if (!missing.empty()) GTEST_SKIP() << missing;
  AddRing();
  for (const char* format : {"f32", "q8"}) {
    const Answer expected = AnswerOf("reference", format, {});
    // A number that falls to the other side of a step of q8 changes a row by
    // 1/127 of its largest number.
    const double bound = std::string(format) == "f32" ? 1e-3 : 0.05;
    const Answer alone = AnswerOf(GetParam().name, format, {});
    EXPECT_EQ(alone.rows, expected.rows);
    EXPECT_LT(LargestDifference(alone, expected), bound) << format;
  }
  const Answer expected = AnswerOf("reference", "f32", {});
  const Answer heads = AnswerOf(GetParam().name, "f32", {3, 1});
  EXPECT_EQ(heads.rows, expected.rows);
  EXPECT_LT(LargestDifference(heads, expected), 1e-3);
  // Each token shard has a ring of its own tokens.
  const Answer sharded = AnswerOf("reference", "q8", {1, 2});
  const Answer tokens = AnswerOf(GetParam().name, "q8", {1, 2});
  EXPECT_EQ(tokens.rows, sharded.rows);
  EXPECT_LT(LargestDifference(tokens, sharded), 0.05);
}

INSTANTIATE_TEST_SUITE_P(All, NewPolicyTest,
                         testing::ValuesIn(GoldenBackends()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace subgen
