// In decode steps of several ranks over the emulated NCCL, collectives are part
// of the one graph of each rank's step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "comm/nccl/nccl_ranks.h"
#include "tests/engine/decode/cuda_emulated/toy_steps.h"

namespace subgen {
namespace {

class NcclStepsTest : public testing::TestWithParam<std::string> {
 protected:
  NcclStepsTest() { emulation::SetEmulatedDevices(6); }
  ~NcclStepsTest() override {
    emulation::SetEmulatedDevices(1);
    emulation::SetRefusal(emulation::Refusal::kNowhere);
  }

  // Runs 3 head shards x 2 token shards.
  ToySteps Run(const std::string& policy, int64_t tokens = 100,
               int64_t top = 0) {
    ToyRun run;
    run.top = top;
    run.cache = SmallCache(policy, "f32");
    run.merge = GetParam();
    run.ranks = 6;
    run.tokens = tokens;
    run.make_world = [](std::unique_ptr<Communicator> bootstrap) {
      NcclOptions options;
      options.library = SUBGEN_FAKE_NCCL;
      options.device = bootstrap->rank();
      options.deadline_seconds = 60.0;
      return MakeNcclRanks(std::move(bootstrap), options);
    };
    return RunToySteps(run);
  }
};

TEST_P(NcclStepsTest, LogitsAreThoseOfTheHost) {
  for (const char* policy : {"exact", "subgen"}) {
    const ToySteps nccl = Run(policy);
    ToyRun run;
    run.cache = SmallCache(policy, "f32");
    run.backend = "reference";
    run.merge = GetParam();
    run.ranks = 6;
    run.tokens = 100;
    const ToySteps host = RunToySteps(run);
    ASSERT_EQ(nccl.logits.size(), host.logits.size());
    double largest = 0.0;
    for (size_t i = 0; i < host.logits.size(); ++i) {
      for (size_t j = 0; j < host.logits[i].size(); ++j) {
        largest = std::max<double>(
            largest, std::abs(nccl.logits[i][j] - host.logits[i][j]));
      }
    }
    EXPECT_LT(largest, 1e-4) << policy;  // as in cuda/policies_test.cc
  }
}

TEST_P(NcclStepsTest, AreOneGraphARank) {
  // Each shard owns every other 16 tokens, so lists come again after 32; the
  // first steps are the chunks of the prompt.
  const ToySteps steps = Run("subgen", 170);
  EXPECT_EQ(steps.note, "");
  const int end = static_cast<int>(steps.counts.size());
  const MeanCounts each = MeanOf(steps, end - 32, end);
  EXPECT_EQ(each.graph_launches, 6);
  EXPECT_EQ(each.uploads, 6);
  EXPECT_EQ(each.put, 0);
  EXPECT_EQ(each.allocations, 0);
  // These are of a rank: two layers of a merge and two sums, and the logits.
  const int merge = GetParam() == "all_gather" ? 1 : 2;
  EXPECT_EQ(each.collectives, 6 * (2 * (merge + 2) + 1));
}

TEST_P(NcclStepsTest, TheLargestLogitsAreGatheredInTheGraph) {
  constexpr int64_t kTop = 5;
  const ToySteps steps = Run("subgen", 170, kTop);
  const int end = static_cast<int>(steps.counts.size());
  const MeanCounts each = MeanOf(steps, end - 32, end);
  EXPECT_EQ(each.graph_launches, 6);
  EXPECT_EQ(each.uploads, 6);
  EXPECT_EQ(each.put, 0);
  // Each of 6 ranks reads what the 6 found; counts are taken when the first of
  // them has, so the others' last step may be missing at either end.
  const double read = 6 * 6 * TopWidth(kTop) * sizeof(float);
  EXPECT_NEAR(each.bytes_to_host, read, read / 32);
  const ToySteps whole = Run("subgen", 80);
  for (size_t i = 0; i < whole.logits.size(); ++i) {
    const std::vector<float>& logits = whole.logits[i];
    ASSERT_EQ(steps.tops[i].size(), kTop);
    EXPECT_EQ(steps.tops[i][0].column,
              std::max_element(logits.begin(), logits.end()) - logits.begin());
    for (const TopNumber& best : steps.tops[i]) {
      EXPECT_EQ(best.value, logits[best.column]);
    }
  }
}

TEST_P(NcclStepsTest, WithoutGraphsTheBitsAreTheSame) {
  const ToySteps graphs = Run("subgen");
  emulation::SetRefusal(emulation::Refusal::kEnd);
  const ToySteps plain = Run("subgen");
  EXPECT_EQ(graphs.logits, plain.logits);
  EXPECT_NE(plain.note, "");
}

INSTANTIATE_TEST_SUITE_P(Merges, NcclStepsTest,
                         testing::Values("all_gather", "all_reduce"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

}  // namespace
}  // namespace subgen
