// These are whole benchmarks of a toy model: what is measured, never how fast
// it is.
#include "launch/bench/decode_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/thread_ranks.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/filled_cache.h"
#include "launch/bench/machine.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

BenchPolicy Policy(const std::string& policy, int64_t budget = 0) {
  BenchPolicy made;
  made.label = policy;
  EngineConfig& config = made.config;
  config.model = WriteToyModel({}, "bench");
  config.prefill_chunk = 16;
  config.cache.policy = policy;
  config.cache.budget_tokens = budget;
  config.cache.sink_tokens = 2;
  config.cache.recent_tokens = 4;
  config.step_deadline_seconds = 0.0;
  return made;
}

DecodeBenchOptions Options(std::vector<BenchPolicy> policies) {
  DecodeBenchOptions options;
  options.policies = std::move(policies);
  options.prompts = {20};
  options.generations = {3};
  options.depths = {0, 40};
  options.repetitions = 2;
  options.on_fill = [](int64_t, int64_t) {};
  options.before_repetition = [](const std::string&, const std::string&) {};
  options.after_repetition = [](double) {};
  return options;
}

absl::StatusOr<std::vector<TestResult>> RunBench(
    const DecodeBenchOptions& options, int ranks = 1) {
  std::vector<TestResult> rows;
  RETURN_IF_ERROR(RunThreadRanks(
      ranks, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        ASSIGN_OR_RETURN(const Model model,
                         LoadModel(options.policies[0].config));
        return RunDecodeBench(options, model, *world,
                              [&](const TestResult& row) {
                                EXPECT_EQ(world->rank(), 0);
                                rows.push_back(row);
                              });
      }));
  return rows;
}

std::vector<std::string> Names(const std::vector<TestResult>& rows) {
  std::vector<std::string> names;
  for (const TestResult& row : rows) {
    names.push_back(row.policy + " " + row.Test());
  }
  return names;
}

TEST(DecodeBench, MeasuresEveryTest) {
  for (const int ranks : {1, 2, 4}) {
    DecodeBenchOptions options =
        Options({Policy("exact"), Policy("subgen", 24)});
    std::vector<std::string> announced;
    options.before_repetition = [&](const std::string& policy,
                                    const std::string& test) {
      announced.push_back(policy + " " + test);
    };
    const auto rows = RunBench(options, ranks);
    ASSERT_TRUE(rows.ok()) << rows.status();
    EXPECT_THAT(Names(*rows),
                ElementsAre("exact pp20", "exact tg3", "exact pp20 @ d40",
                            "exact tg3 @ d40", "subgen pp20", "subgen tg3",
                            "subgen pp20 @ d40", "subgen tg3 @ d40"));
    EXPECT_EQ(announced.size(), 2 * rows->size());
    for (const TestResult& row : *rows) {
      ASSERT_EQ(row.seconds.size(), 2u);
      ASSERT_EQ(row.laps.size(), 2u);
      for (const LapTimes& lap : row.laps) {
        EXPECT_GT(lap.attention, 0.0);
        EXPECT_GT(lap.update, 0.0);
        EXPECT_EQ(lap.communication > 0.0, ranks > 1);
      }
      EXPECT_GT(row.resident_bytes, 0);
    }
  }
}

// There are 2 layers x 3 KV heads; the last generation ends at depth + 3: every
// repetition starts from the same depth.
TEST(DecodeBench, EveryRepetitionStartsAtItsDepth) {
  DecodeBenchOptions options = Options({Policy("exact"), Policy("window", 24)});
  options.prompts = {0};
  for (const ContextFill fill :
       {ContextFill::kModel, ContextFill::kSynthetic}) {
    options.fill = fill;
    const auto rows = RunBench(options);
    ASSERT_TRUE(rows.ok()) << rows.status();
    ASSERT_EQ(rows->size(), 4u);
    constexpr int64_t kRow = 2 * 2 * 16;  // bf16 key and value
    EXPECT_EQ((*rows)[0].cache_bytes_read, 6 * 3 * kRow);
    EXPECT_EQ((*rows)[1].cache_bytes_read, 6 * 43 * kRow);
    EXPECT_EQ((*rows)[3].cache_bytes_read, 6 * 24 * kRow);
    EXPECT_EQ((*rows)[1].synthetic, fill == ContextFill::kSynthetic);
    EXPECT_FALSE((*rows)[0].synthetic);
  }
}

// Two layers of three KV heads hold a row of each token of each sequence.
TEST(DecodeBench, BatchesAreSequencesOfTheirOwn) {
  for (const int ranks : {1, 2}) {
    DecodeBenchOptions options =
        Options({Policy("exact"), Policy("window", 24)});
    options.prompts = {20, 0};
    options.generations = {3};
    options.batches = {1, 5};
    options.depths = {0, 40};
    const auto rows = RunBench(options, ranks);
    ASSERT_TRUE(rows.ok()) << rows.status();
    EXPECT_THAT(
        Names(*rows),
        testing::IsSupersetOf(
            {"exact pp20+tg3", "exact b5 pp20+tg3", "exact tg3", "exact b5 tg3",
             "exact pp20+tg3 @ d40", "exact b5 pp20+tg3 @ d40",
             "exact b5 tg3 @ d40", "window b5 pp20+tg3 @ d40"}));
    EXPECT_EQ(rows->size(), 16u);
    constexpr int64_t kRow = 2 * 2 * 16;  // bf16 key and value
    for (const TestResult& row : *rows) {
      ASSERT_EQ(row.seconds.size(), 2u);
      ASSERT_EQ(row.prompt_seconds.size(), 2u);
      EXPECT_EQ(row.laps.size(), 2u);
      for (size_t i = 0; i < row.seconds.size(); ++i) {
        EXPECT_EQ(row.prompt_seconds[i] > 0.0, row.test.prompt > 0);
        EXPECT_GT(row.seconds[i], row.prompt_seconds[i]);
      }
      const int64_t tokens = row.depth + row.test.tokens();
      EXPECT_EQ(
          row.cache_bytes_read,
          row.test.sequences * 6 * kRow *
              (row.policy == "exact" ? tokens : std::min<int64_t>(tokens, 24)))
          << row.policy << " " << row.Test();
    }
  }
}

// Steps of prompts are full: 5 x 20 tokens in chunks of 16 take seven, where
// each sequence by itself would take two of five.
TEST(DecodeBench, PromptsOfABatchShareSteps) {
  BenchPolicy policy = Policy("exact");
  const auto model = LoadModel(policy.config);
  ASSERT_TRUE(model.ok()) << model.status();
  policy.config.max_sequences = 5;
  EngineOptions options;
  options.context_tokens = 32;
  auto engine = Engine::Make(policy.config, *model, options, MakeSingleRank());
  ASSERT_TRUE(engine.ok()) << engine.status();
  Leader& leader = (*engine)->leader();
  const BenchSteps steps(leader, kToyVocabulary, 16);
  const int64_t before = leader.messages();
  steps.ReadPrompts(5, 0, 20);
  EXPECT_EQ(leader.messages() - before, 7);
  steps.Generate(5, 20, 24);
  EXPECT_EQ(leader.messages() - before, 7 + 4);
  for (int slot = 0; slot < 5; ++slot) {
    EXPECT_EQ(leader.Totals(slot).tokens, 24);
  }
}

TEST(DecodeBench, BeyondTheModelsContextKeysAreSynthetic) {
  DecodeBenchOptions options = Options({Policy("subgen", 24)});
  options.depths = {0, 509, 510, 5000};
  options.prompts = {0};
  int64_t layers = 0;
  options.on_fill = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 2);
    layers += done > 0;
  };
  const auto rows = RunBench(options, 2);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(Names(*rows), ElementsAre("subgen tg3", "subgen tg3 @ d509",
                                        "subgen tg3 @ d510 synthetic",
                                        "subgen tg3 @ d5000 synthetic"));
  EXPECT_EQ(layers, 4);
}

TEST(DecodeBench, EveryPolicyTakesSyntheticRows) {
  for (const std::string policy : {"window", "heavy_hitter", "uniform",
                                   "key_diff", "snap_kv", "kivi", "subgen"}) {
    BenchPolicy measured = Policy(policy, policy == "kivi" ? 0 : 24);
    if (policy == "kivi") measured.config.cache.kivi.exact_tokens = 32;
    DecodeBenchOptions options = Options({measured});
    options.fill = ContextFill::kSynthetic;
    options.depths = {100};
    const auto rows = RunBench(options);
    EXPECT_TRUE(rows.ok()) << policy << ": " << rows.status();
  }
}

TEST(DecodeBench, SaysWhichPolicyCannotBe) {
  const auto rows = RunBench(Options({Policy("subgen", 3)}), 2);
  ASSERT_FALSE(rows.ok());
  EXPECT_THAT(std::string(rows.status().message()), HasSubstr("policy subgen"));
}

// The toy's matrices are counted by hand, in Q8_0: 34 bytes for 32 numbers.
TEST(WeightBytesRead, ByHand) {
  DecodeBenchOptions options = Options({Policy("exact")});
  options.depths = {0};
  options.prompts = {0};
  for (const int ranks : {1, 2}) {
    const auto rows = RunBench(options, ranks);
    ASSERT_TRUE(rows.ok()) << rows.status();
    const int64_t attention = 64 * 96 + 2 * 64 * 48 + 96 * 64;
    const int64_t feed_forward = 3 * 64 * 160;
    const int64_t numbers =
        2 * (attention + feed_forward) + kToyVocabulary * 64 + 64;
    EXPECT_EQ((*rows)[0].weight_bytes, numbers / 32 * 34);
  }
}

TEST(CacheBytesRead, QuantizedRowsAreCountedAsAllocated) {
  CacheConfig cache;
  RankTotals totals;
  totals.cache_bytes = 1000;
  totals.cache_rows = 5;
  EXPECT_EQ(CacheBytesRead(cache, 64, totals), 5 * 2 * 64 * 2);
  cache.row_format = "f32";
  EXPECT_EQ(CacheBytesRead(cache, 64, totals), 5 * 2 * 64 * 4);
  cache.row_format = "q8";
  EXPECT_EQ(CacheBytesRead(cache, 64, totals), 1000);
  cache = CacheConfig();
  cache.policy = "kivi";
  EXPECT_EQ(CacheBytesRead(cache, 64, totals), 1000);
}

TEST(ReadBandwidth, IsTheSameOnAllRanks) {
  float first = 0.0f;
  const absl::Status status = RunThreadRanks(
      3, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        const double mine = ReadBandwidth(*world, 2, 1 << 20);
        EXPECT_GT(mine, 0.0);
        std::vector<float> rates = {static_cast<float>(mine)};
        world->AllReduce(rates, ReduceOp::kMax);
        EXPECT_EQ(rates[0], static_cast<float>(mine));
        if (world->rank() == 0) first = rates[0];
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_GT(first, 0.0f);
}

TEST(ResidentMemory, SeesWhatIsTouched) {
  const ResidentMemory before = MeasureResidentMemory();
  constexpr int64_t kBytes = 64 << 20;
  {
    const Buffer<char> touched(kBytes);
    // Other memory may go meanwhile, but not that much.
    EXPECT_GT(MeasureResidentMemory().now, before.now + kBytes / 2);
  }
  EXPECT_GE(MeasureResidentMemory().highest, before.now + kBytes / 2);
}

}  // namespace
}  // namespace subgen
