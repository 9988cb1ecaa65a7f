// These test the caches of all layers together: a sequence that is parked and
// resumed, and when heads share the budget.
#include "engine/model/layer_caches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "comm/communicator.h"
#include "engine/model/transformer.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

CacheConfig Budgeted(const std::string& policy) {
  CacheConfig cache;
  cache.policy = policy;
  cache.row_format = "f32";
  if (policy == "exact") return cache;
  cache.budget_tokens = 24;
  cache.sink_tokens = 2;
  cache.recent_tokens = 8;
  cache.recent_fraction = 0.0;
  return cache;
}

BatchRun RunOf(int slot, int64_t first, int64_t count) {
  BatchRun run;
  run.slot = slot;
  run.position = first;
  for (int64_t i = first; i < first + count; ++i) {
    run.tokens.push_back(static_cast<int>((i * 7 + i * i) % kToyVocabulary));
  }
  run.ends_prompt = first + count == 40;
  return run;
}

class LayerCachesTest : public testing::TestWithParam<std::string> {
 protected:
  LayerCachesTest()
      : file_(*ReadGgufModel(WriteToyModel({}, "layer_caches"), {})),
        grid_(MakeGrid(*PlanGrid({}, 1, file_.config.kv_heads),
                       MakeSingleRank())),
        backend_(MakeReferenceBackend()) {
    transformer_ = *Transformer::Make(
        file_, {Budgeted(GetParam()), MergeMethod::kAllReduce, 256, 64, 2},
        grid_, *backend_);
    transformer_->Forward({RunOf(0, 0, 40)});
  }
  LayerCaches& caches() { return transformer_->caches(); }
  // Returns the logits of the four tokens after the prompt.
  std::vector<float> Continue(int slot) {
    std::vector<float> all;
    for (int64_t i = 40; i < 44; ++i) {
      const Matrix<const float> logits =
          transformer_->Forward({RunOf(slot, i, 1)});
      const Vector<const float> row = logits.row(0);
      all.insert(all.end(), row.begin(), row.end());
    }
    return all;
  }

  const ModelFile file_;
  RankGrid grid_;
  const std::unique_ptr<Backend> backend_;
  std::unique_ptr<Transformer> transformer_;
};

TEST_P(LayerCachesTest, ASequenceThatWasParkedGoesOnAsIfItHadNotBeen) {
  const std::string saved = caches().Save(0);
  const std::vector<float> expected = Continue(0);
  caches().Forget(0);
  ASSERT_TRUE(caches().Load(0, saved).ok());
  EXPECT_EQ(caches().Use(0).tokens, 40);
  EXPECT_EQ(Continue(0), expected);
}

TEST_P(LayerCachesTest, WhatIsDamagedIsRefusedAndTheSlotIsEmpty) {
  const std::string saved = caches().Save(0);
  const auto refused = [&](const std::string& bytes) {
    const absl::Status status = caches().Load(0, bytes);
    EXPECT_EQ(caches().Use(0).tokens, status.ok() ? 40 : 0);
    return !status.ok();
  };
  EXPECT_FALSE(refused(saved));
  for (size_t size = 0; size < saved.size(); size += 1 + saved.size() / 97) {
    EXPECT_TRUE(refused(saved.substr(0, size))) << size;
  }
  EXPECT_TRUE(refused(saved + "x"));
  std::string other_layers = saved;
  other_layers[0] = 3;
  EXPECT_TRUE(refused(other_layers));
  std::string long_layer = saved;
  long_layer[15] = 0x7f;  // the highest byte of the first layer's length
  EXPECT_TRUE(refused(long_layer));
  EXPECT_FALSE(refused(saved));
}

INSTANTIATE_TEST_SUITE_P(Policies, LayerCachesTest,
                         testing::Values("exact", "subgen", "heavy_hitter"),
                         [](const auto& info) { return info.param; });

TEST(GrowthToShareTest, IsTheContextOverTheBudgetBesideTheWindow) {
  CacheShape shape;
  shape.kv_heads = 3;
  shape.head_dim = 16;
  shape.context_tokens = 250;
  CacheConfig cache = Budgeted("subgen");
  // Of 24 rows 10 are of the window: 240 tokens share 14 rows.
  EXPECT_EQ(*GrowthToShare(cache, shape), 240.0 / 14.0);
  cache.head_budgets = "equal";
  EXPECT_EQ(*GrowthToShare(cache, shape), std::nullopt);
  cache.head_budgets = "spread";
  shape.context_tokens = 24;
  EXPECT_EQ(*GrowthToShare(cache, shape), std::nullopt);
}

}  // namespace
}  // namespace subgen
