// Steps that subgen_bench_decode measures on a device are those of generation:
// one upload, one graph, one wait, and no kernel for the clock.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "comm/thread_ranks.h"
#include "launch/bench/decode_bench.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using emulation::Counts;
using emulation::CountsSoFar;

struct Repetition {
  Counts before, after;
};

class DecodeStepsTest : public testing::TestWithParam<std::string> {
 protected:
  // Runs two repetitions of each number of tokens.
  void Run(const std::vector<int64_t>& generations) {
    BenchPolicy policy;
    policy.label = GetParam();
    EngineConfig& config = policy.config;
    config.model = WriteToyModel({}, "bench_steps");
    config.backend = "cuda";
    config.prefill_chunk = 16;
    config.cache.policy = GetParam();
    config.cache.row_format = "f32";
    config.cache.budget_tokens = 32;
    config.cache.sink_tokens = 2;
    config.cache.recent_tokens = 10;
    config.cache.recent_fraction = 0.0;
    config.step_deadline_seconds = 0.0;
    DecodeBenchOptions options;
    options.policies = {policy};
    options.generations = generations;
    options.depths = {70};
    options.repetitions = 2;
    options.on_fill = [](int64_t, int64_t) {};
    options.before_repetition = [&](const std::string&, const std::string&) {
      repetitions.push_back({CountsSoFar(), {}});
    };
    options.after_repetition = [&](double) {
      repetitions.back().after = CountsSoFar();
    };
    const auto model = LoadModel(config);
    ASSERT_TRUE(model.ok()) << model.status();
    const auto world = MakeSingleRank();
    const absl::Status status =
        RunDecodeBench(options, *model, *world,
                       [&](const TestResult& row) { rows.push_back(row); });
    ASSERT_TRUE(status.ok()) << status;
  }

  std::vector<Repetition> repetitions;
  std::vector<TestResult> rows;
};

TEST_P(DecodeStepsTest, AreUndisturbed) {
  constexpr int kMore = 32;
  ASSERT_NO_FATAL_FAILURE(Run({40, 40 + kMore}));
  ASSERT_EQ(repetitions.size(), 4u);
  // Returns what more steps of the same repetition ask for.
  const auto more = [&](int64_t Counts::*count) {
    const Repetition &few = repetitions[1], &many = repetitions[3];
    return (many.after.*count - many.before.*count) -
           (few.after.*count - few.before.*count);
  };
  EXPECT_EQ(more(&Counts::waits), kMore);
  EXPECT_EQ(more(&Counts::graph_launches), kMore);
  EXPECT_EQ(more(&Counts::copies_to_device), kMore);
  EXPECT_EQ(more(&Counts::put), 0);
  EXPECT_EQ(more(&Counts::bytes_to_host), kMore * TopWidth(1) * 4);
  // The numbers are as in steps_test.cc: of layers, beside them, and of the
  // largest logit.
  const int of_layer = GetParam() == "subgen" ? 12 : 11;
  const int of_step = GetParam() == "subgen" ? 9 : 7;
  EXPECT_EQ(more(&Counts::kernels),
            kMore * (ToyModel().layers * of_layer + of_step));
}

// Parts are timed in a repetition of their own.
TEST_P(DecodeStepsTest, PartsAreOfOneMore) {
  ASSERT_NO_FATAL_FAILURE(Run({20}));
  ASSERT_EQ(rows.size(), 1u);
  const TestResult& row = rows[0];
  EXPECT_EQ(row.seconds.size(), 2u);
  ASSERT_EQ(row.laps.size(), 1u);
  ASSERT_EQ(row.lap_seconds.size(), 1u);
  const LapTimes& parts = row.laps[0];
  EXPECT_GT(parts.attention, 0.0);
  EXPECT_GT(parts.update, 0.0);
  EXPECT_EQ(parts.communication, 0.0);
  EXPECT_LT(parts.attention + parts.update, row.lap_seconds[0]);
}

INSTANTIATE_TEST_SUITE_P(Policies, DecodeStepsTest,
                         testing::Values("window", "subgen"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

}  // namespace
}  // namespace subgen
