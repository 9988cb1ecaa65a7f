// Prompts in chunks that take tensor cores are near the reference, and the same
// over any number of ranks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/backend.h"
#include "tests/engine/decode/cuda/toy_logits.h"

namespace subgen {
namespace {

// Two shards own 32 tokens of each chunk.
ToyReading Prompt(const std::string& backend, int ranks) {
  return {backend, SmallCache("exact", "bf16"), ranks, 64, 128, 132};
}

// The bound is the largest logit, off by half of the last of 8 bits in each of
// some 10 steps of each of two layers, were it always the same way.
double Bound(const Logits& logits) {
  double largest = 0.0;
  for (const std::vector<float>& row : logits) {
    for (const float logit : row) {
      largest = std::max<double>(largest, std::abs(logit));
    }
  }
  return 2 * 10 * 0x1p-8 * largest;
}

class CudaPromptTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto backend = MakeCudaBackend(0);
    if (!backend.ok()) GTEST_SKIP() << backend.status().message();
  }
};

TEST_F(CudaPromptTest, LogitsAreNearTheReference) {
  const Logits expected = ReadToyModel(Prompt("reference", 1));
  EXPECT_LT(LargestDifference(ReadToyModel(Prompt("cuda", 1)), expected),
            Bound(expected));
  // A bound that would let a mistake pass tests nothing.
  ToyReading forgetful = Prompt("reference", 1);
  forgetful.cache = SmallCache("window", "bf16");
  EXPECT_GT(LargestDifference(ReadToyModel(forgetful), expected),
            5 * Bound(expected));
}

// Sums come in another order, by float32 roundings; now and then one of them
// lets a number go to the other side in bf16, which is most of what is allowed
// beside the reference.
TEST_F(CudaPromptTest, LogitsDoNotDependOnTheNumberOfRanks) {
  const Logits one = ReadToyModel(Prompt("cuda", 1));
  for (const int ranks : {3, 6}) {
    const Logits all = ReadToyModel(Prompt("cuda", ranks));
    ASSERT_EQ(all.size(), one.size());
    int off = 0;
    for (size_t i = 0; i < one.size(); ++i) {
      if (LargestDifference(all[i], one[i]) > 1e-4) ++off;
    }
    EXPECT_LE(off, std::ssize(one) / 20) << ranks << " ranks";
    EXPECT_LT(LargestDifference(all, one), Bound(one));
  }
}

}  // namespace
}  // namespace subgen
