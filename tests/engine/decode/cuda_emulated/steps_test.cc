// A decode step is one upload, one graph launch and one wait.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/decode/cuda_emulated/toy_steps.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using emulation::Refusal;
using ::testing::HasSubstr;

class StepsTest : public testing::TestWithParam<std::string> {
 protected:
  ~StepsTest() override { emulation::SetRefusal(Refusal::kNowhere); }
};

// The prompt takes 5 chunks, then steps are of one token; in those measured no
// cache grows and no grid changes.
constexpr int kFirst = 20, kEnd = 40;
// Formats of few bits take long to emulate: fewer steps, none of which differs.
constexpr int kFewTokens = 92, kFewEnd = 27;

void ExpectOneOfEach(const MeanCounts& each) {
  EXPECT_EQ(each.graph_launches, 1);
  EXPECT_EQ(each.uploads, 1);
  EXPECT_EQ(each.waits, 1);
  EXPECT_EQ(each.put, 0);
}

TEST_P(StepsTest, AreOneUploadOneGraphAndOneWait) {
  ToyRun run;
  run.cache = SmallCache(GetParam(), "f32");
  const ToySteps steps = RunToySteps(run);
  EXPECT_EQ(steps.note, "");
  const MeanCounts each = MeanOf(steps, kFirst, kEnd);
  ExpectOneOfEach(each);
  EXPECT_EQ(each.allocations, 0);
  // These are the kernels of a layer, then embedding, first norm, rows of
  // logits, their norm and product; centers of all layers at once, distances
  // and choices, or rows by their scores.
  const int of_layer = GetParam() == "subgen"         ? 12
                       : GetParam() == "uniform"      ? 13
                       : GetParam() == "heavy_hitter" ? 15
                                                      : 11;
  const int of_step = GetParam() == "subgen"         ? 7
                      : GetParam() == "heavy_hitter" ? 6
                                                     : 5;
  EXPECT_EQ(each.kernels, ToyModel().layers * of_layer + of_step);
}

// The largest logits are part of the graph, and all that the host reads.
TEST_P(StepsTest, TheLargestLogitsAreAllThatIsRead) {
  ToyRun run;
  run.cache = SmallCache(GetParam(), "f32");
  const ToySteps whole = RunToySteps(run);
  run.top = 3;
  const ToySteps steps = RunToySteps(run);
  const MeanCounts each = MeanOf(steps, kFirst, kEnd);
  ExpectOneOfEach(each);
  EXPECT_EQ(each.allocations, 0);
  EXPECT_EQ(each.kernels, MeanOf(whole, kFirst, kEnd).kernels + 2);
  EXPECT_EQ(each.bytes_to_host, TopWidth(run.top) * sizeof(float));
  ASSERT_EQ(steps.tops.size(), whole.logits.size());
  for (size_t i = 0; i < steps.tops.size(); ++i) {
    const std::vector<float>& logits = whole.logits[i];
    std::vector<TopNumber> expected;
    for (size_t j = 0; j < logits.size(); ++j) {
      expected.push_back({logits[j], static_cast<int>(j)});
    }
    std::sort(expected.begin(), expected.end(), IsBefore);
    for (int64_t j = 0; j < run.top; ++j) {
      EXPECT_EQ(steps.tops[i][j].value, expected[j].value) << i;
      EXPECT_EQ(steps.tops[i][j].column, expected[j].column) << i;
    }
  }
}

TEST_P(StepsTest, GraphsGiveTheBitsOfPlainLaunches) {
  ToyRun run;
  run.cache = SmallCache(GetParam(), "f32");
  const ToySteps graphs = RunToySteps(run);
  emulation::SetRefusal(Refusal::kBegin);
  const ToySteps plain = RunToySteps(run);
  EXPECT_EQ(graphs.logits, plain.logits);
  EXPECT_GT(MeanOf(plain, kFirst, kEnd).put, 25);
  EXPECT_EQ(MeanOf(plain, kFirst, kEnd).graph_launches, 0);
  EXPECT_EQ(MeanOf(plain, kFirst, kEnd).waits, 1);
  EXPECT_THAT(plain.note, HasSubstr("not captured as CUDA graphs"));
}

INSTANTIATE_TEST_SUITE_P(Policies, StepsTest,
                         testing::Values("exact", "window", "subgen", "uniform",
                                         "heavy_hitter"),
                         [](const auto& info) {
                           return std::string(info.param);
                         });

// Algorithm 1 draws on the device: that is one kernel more per step for all
// layers.
TEST(StreamingStepsTest, AreOneUploadOneGraphAndOneWait) {
  for (const std::string format : {"f32", "q8", "q4"}) {
    SCOPED_TRACE(format);
    ToyRun run;
    run.cache = SmallCache("subgen", format);
    run.cache.subgen.mode = "streaming";
    run.head_dim = 32;
    run.top = 1;
    run.tokens = kFewTokens;
    const MeanCounts each = MeanOf(RunToySteps(run), kFirst, kFewEnd);
    ExpectOneOfEach(each);
    EXPECT_EQ(each.allocations, 0);
    if (format == "f32") {
      EXPECT_EQ(each.kernels, ToyModel().layers * 12 + 6 + 2);
    }
    EXPECT_EQ(each.bytes_to_host, TopWidth(1) * sizeof(float));
  }
}

// Rows of few bits are transformed and quantized on the device: nothing is read
// but logits, and the list is as short as that of other rows, with four
// transforms per layer in few bits.
TEST(QuantizedStepsTest, AreOneUploadOneGraphAndOneWait) {
  for (const char* policy :
       {"exact", "window", "subgen", "uniform", "heavy_hitter"}) {
    for (const std::string format : {"q8", "q4", "q3"}) {
      // The formats differ in what a kernel does, not in which there are.
      if (format != "q4" && policy != std::string("exact")) continue;
      ToyRun run;
      run.cache = SmallCache(policy, format);
      run.head_dim = 32;
      run.top = 1;
      run.tokens = kFewTokens;
      const ToySteps steps = RunToySteps(run);
      const MeanCounts each = MeanOf(steps, kFirst, kFewEnd);
      SCOPED_TRACE(testing::Message() << policy << " " << format);
      ExpectOneOfEach(each);
      EXPECT_EQ(each.bytes_to_host, TopWidth(1) * sizeof(float));
    }
  }
}

// An exact cache grows at each step: its graph changes at few of them.
TEST(GrowingCacheTest, MostStepsAreGraphs) {
  ToyRun run;
  run.cache = SmallCache("exact", "f32");
  run.tokens = 250;
  const ToySteps steps = RunToySteps(run);
  EXPECT_GT(MeanOf(steps, kFirst, 185).graph_launches, 0.95);
  EXPECT_EQ(MeanOf(steps, kFirst, 185).waits, 1);
}

}  // namespace
}  // namespace subgen
