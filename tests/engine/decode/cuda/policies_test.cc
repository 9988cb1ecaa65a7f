// Every cache policy runs on the cuda backend and on the reference: they have
// the same logits after many steps, so the same rows were kept and what lies on
// the device is what the host wrote.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "kernels/backend.h"
#include "tests/engine/decode/cuda/toy_logits.h"

namespace subgen {
namespace {

struct Case {
  std::string name;
  CacheConfig cache;
  int ranks = 1;
  int64_t head_dim = 16;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* policy : {"exact", "window", "heavy_hitter", "uniform",
                             "key_diff", "snap_kv", "subgen"}) {
    cases.push_back({policy, SmallCache(policy, "f32")});
  }
  cases.push_back({"exact_on_2_token_shards", SmallCache("exact", "f32"), 6});
  cases.push_back({"subgen_bf16", SmallCache("subgen", "bf16")});
  cases.push_back({"window_bf16", SmallCache("window", "bf16")});
  CacheConfig once = SmallCache("subgen", "f32");
  once.when = "once";
  cases.push_back({"subgen_once", once});
  CacheConfig streaming = SmallCache("subgen", "f32");
  streaming.subgen.mode = "streaming";
  cases.push_back({"subgen_streaming", streaming});
  for (const char* policy : {"exact", "window", "subgen", "heavy_hitter"}) {
    for (const char* format : {"q8", "q4", "q3"}) {
      cases.push_back({absl::StrCat(policy, "_", format),
                       SmallCache(policy, format), 1, 32});
    }
  }
  return cases;
}

class CudaPoliciesTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const auto backend = MakeCudaBackend(0);
    if (!backend.ok()) GTEST_SKIP() << backend.status().message();
  }
  Logits LogitsOn(const std::string& backend) {
    ToyReading reading = {backend, GetParam().cache, GetParam().ranks};
    reading.head_dim = GetParam().head_dim;
    return ReadToyModel(reading);
  }
};

// The bound is for float32 roundings of two layers, with room; other rows
// change logits by much more, see below.
constexpr double kBound = 1e-4;

TEST_P(CudaPoliciesTest, LogitsEqualReference) {
  const Logits actual = LogitsOn("cuda");
  ASSERT_EQ(actual.size(), 90);
  const double largest = LargestDifference(actual, LogitsOn("reference"));
  EXPECT_LT(largest, kBound);
  RecordProperty("largest_difference", absl::StrCat(largest));
}

// A bound that would let a mistake pass tests nothing.
TEST(CudaPoliciesBoundTest, OtherRowsChangeMore) {
  const Logits window =
      ReadToyModel({"reference", SmallCache("window", "f32")});
  CacheConfig one_more = SmallCache("window", "f32");
  ++one_more.budget_tokens;
  EXPECT_GT(LargestDifference(window, ReadToyModel({"reference", one_more})),
            5 * kBound);
}

INSTANTIATE_TEST_SUITE_P(All, CudaPoliciesTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace subgen
