// Policies behind one prompt are shown and asked for all that each of them
// needs: forgetting one call ends the program or changes a row.
#include "launch/evaluation/shared_prompt.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/cache/step_work.h"
#include "kernels/backend.h"
#include "kernels/base/draws.h"

namespace subgen {
namespace {

constexpr int64_t kDim = 8;

CacheConfig Subject(const std::string& policy) {
  CacheConfig config;
  config.policy = policy;
  config.row_format = "f32";
  config.when = "once";
  config.budget_tokens = 24;
  config.sink_tokens = 2;
  config.recent_tokens = 8;
  config.recent_fraction = 0.0;
  config.head_budgets = "equal";
  return config;
}

CacheShape Shape(int slots) {
  CacheShape shape;
  shape.kv_heads = 1;
  shape.head_dim = kDim;
  shape.slots = slots;
  shape.context_tokens = 1000;
  return shape;
}

std::vector<float> Row(int kind, int64_t position) {
  std::vector<float> row;
  for (int64_t i = 0; i < kDim; ++i) {
    Draws draws(RandomPlace(kind, static_cast<int>(i), 0), position);
    row.push_back(static_cast<float>(2.0 * draws.Next() - 1.0));
  }
  return row;
}

// Tokens [first, first + count) of each slot, as the transformer would. Returns
// the attention of all of them.
std::vector<float> Step(int64_t first, int count, int slots, bool ends_prompt,
                        CachePolicy& policy) {
  std::vector<Chunk> chunks;
  std::vector<int64_t> positions;
  std::vector<int> inside;
  std::vector<float> all[3];
  for (int slot = 0; slot < slots; ++slot) {
    chunks.push_back(
        {slot, first, slot * count, count, slot * count, count, ends_prompt});
    for (int i = 0; i < count; ++i) {
      positions.push_back(first + i);
      inside.push_back(i);
      for (int kind = 0; kind < 3; ++kind) {
        const std::vector<float> row = Row(kind, first + i);
        all[kind].insert(all[kind].end(), row.begin(), row.end());
      }
    }
  }
  LayerStep step;
  step.chunks = chunks;
  step.tokens = step.owned = slots * count;
  step.queries = {all[0].data(), step.tokens, kDim};
  step.keys = {all[1].data(), step.tokens, kDim};
  step.values = {all[2].data(), step.tokens, kDim};
  step.owned_positions = positions;
  step.owned_tokens = inside;
  PartialsBuffer buffer(step.tokens, kDim);
  const SoftmaxPartials out = buffer.Resize(step.tokens);
  policy.Attend(step, out);
  std::vector<float> log_partition(step.tokens), attention;
  LogPartition(out, log_partition);
  if (policy.needs() != Needs::kNothing) policy.Observe(step, log_partition);
  policy.Append(step);
  policy.EndStep();
  for (int64_t i = 0; i < step.tokens; ++i) {
    for (const float x : out.weighted.row(i)) {
      attention.push_back(x / out.partition[i]);
    }
  }
  return attention;
}

TEST(SharedPromptTest, EachGoesOnAsItWouldAlone) {
  const std::vector<std::string> names = {"subgen", "snap_kv", "heavy_hitter",
                                          "uniform"};
  const auto backend = MakeReferenceBackend();
  StepWork work(*backend);
  std::vector<CacheConfig> configs;
  for (const std::string& name : names) configs.push_back(Subject(name));
  const int slots = static_cast<int>(names.size());
  const auto shared = *SharePrompt(configs)(configs[0], Shape(slots), work);
  // One of them looks at queries on the host.
  EXPECT_EQ(shared->needs(), Needs::kQueries);
  std::vector<float> last;
  for (int64_t at = 0; at < 60; at += 20) {
    Step(at, 20, 1, at == 40, *shared);
  }
  for (int64_t at = 60; at < 80; ++at) {
    last = Step(at, 1, slots, false, *shared);
  }
  for (int slot = 0; slot < slots; ++slot) {
    StepWork own_work(*backend);
    const auto alone = *MakeCachePolicy(configs[slot], Shape(1), own_work);
    for (int64_t at = 0; at < 60; at += 20) {
      Step(at, 20, 1, at == 40, *alone);
    }
    std::vector<float> expected;
    for (int64_t at = 60; at < 80; ++at) {
      expected = Step(at, 1, 1, false, *alone);
    }
    const std::vector<float> mine(last.begin() + slot * kDim,
                                  last.begin() + (slot + 1) * kDim);
    EXPECT_EQ(mine, expected) << names[slot];
    EXPECT_EQ(shared->Stats(slot).rows, alone->Stats(0).rows) << names[slot];
  }
}

}  // namespace
}  // namespace subgen
