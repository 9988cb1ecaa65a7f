// Every cache policy on the cuda backend and on the reference: the same logits
// after many steps, so the same rows were kept and what lies on the device is
// what the host wrote.
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

struct Case {
  std::string name;
  CacheConfig cache;
  int ranks = 1;
  int64_t head_dim = 16;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

CacheConfig Policy(const std::string& policy, const std::string& format) {
  CacheConfig cache;
  cache.policy = policy;
  cache.row_format = format;
  cache.budget_tokens = 32;
  cache.sink_tokens = 2;
  cache.recent_tokens = 10;
  cache.recent_fraction = 0.0;
  return cache;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* policy : {"exact", "window", "heavy_hitter", "uniform",
                             "key_diff", "snap_kv", "subgen"}) {
    cases.push_back({policy, Policy(policy, "f32")});
  }
  cases.push_back({"exact_on_2_token_shards", Policy("exact", "f32"), 6});
  cases.push_back({"subgen_bf16", Policy("subgen", "bf16")});
  cases.push_back({"window_bf16", Policy("window", "bf16")});
  CacheConfig once = Policy("subgen", "f32");
  once.when = "once";
  cases.push_back({"subgen_once", once});
  CacheConfig streaming = Policy("subgen", "f32");
  streaming.subgen.mode = "streaming";
  cases.push_back({"subgen_streaming", streaming});
  for (const char* policy : {"exact", "window", "subgen", "heavy_hitter"}) {
    for (const char* format : {"q8", "q4", "q3"}) {
      cases.push_back(
          {absl::StrCat(policy, "_", format), Policy(policy, format), 1, 32});
    }
  }
  return cases;
}

using Logits = std::vector<std::vector<float>>;

// A prompt in chunks of up to 16 and then tokens one by one.
absl::Status Read(const EngineConfig& config,
                  std::unique_ptr<Communicator> world, Logits* all) {
  ASSIGN_OR_RETURN(const Model model, LoadModel(config));
  ASSIGN_OR_RETURN(auto engine,
                   Engine::Make(config, model, {256, 1}, std::move(world)));
  if (!engine->leads()) {
    engine->Follow();
    return absl::OkStatus();
  }
  constexpr int64_t kPrompt = 70, kTokens = 90;
  for (int64_t first = 0; first < kTokens;) {
    const int64_t count =
        first < kPrompt ? std::min<int64_t>(16, kPrompt - first) : 1;
    BatchRun run{0, first, {}, first + count == kPrompt, true};
    for (int64_t i = 0; i < count; ++i) {
      run.tokens.push_back(static_cast<int>((first + i) * 37 % 251));
    }
    const Matrix<const float> logits = engine->leader().Forward({run});
    for (int64_t i = 0; i < logits.rows; ++i) {
      all->emplace_back(logits.row(i).begin(), logits.row(i).end());
    }
    first += count;
  }
  engine->leader().Stop();
  return absl::OkStatus();
}

Logits LogitsOf(const std::string& backend, const Case& of) {
  ToyModel toy;
  toy.head_dim = of.head_dim;
  EngineConfig config;
  config.model = WriteToyModel(toy, "cuda_policies.gguf");
  config.backend = backend;
  config.prefill_chunk = 16;
  config.cache = of.cache;
  Logits logits;
  const absl::Status status =
      RunThreadRanks(of.ranks, [&](std::unique_ptr<Communicator> world) {
        return Read(config, std::move(world), &logits);
      });
  EXPECT_TRUE(status.ok()) << status;
  return logits;
}

class CudaPoliciesTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const auto backend = MakeCudaBackend(0);
    if (!backend.ok()) GTEST_SKIP() << backend.status().message();
  }
  Logits LogitsOn(const std::string& backend) {
    return LogitsOf(backend, GetParam());
  }
};

double LargestDifference(const Logits& a, const Logits& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0.0;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    for (size_t j = 0; j < a[i].size(); ++j) {
      largest = std::max<double>(largest, std::abs(a[i][j] - b[i][j]));
    }
  }
  return largest;
}

// Float32 roundings of two layers, with room; other rows change logits by much
// more, see below.
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
  Case window = {"window", Policy("window", "f32")};
  const Logits logits = LogitsOf("reference", window);
  ++window.cache.budget_tokens;
  EXPECT_GT(LargestDifference(logits, LogitsOf("reference", window)),
            5 * kBound);
}

INSTANTIATE_TEST_SUITE_P(All, CudaPoliciesTest, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace subgen
