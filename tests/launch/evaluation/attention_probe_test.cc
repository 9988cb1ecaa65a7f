#include "launch/evaluation/attention_probe.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/cache/cache_policy.h"
#include "engine/cache/step_work.h"
#include "kernels/backend.h"

namespace subgen {
namespace {

TEST(OperatorNormTest, ByHand) {
  // Where V = diag(3, 2), V^T V = diag(9, 4).
  EXPECT_NEAR(OperatorNorm(std::vector<double>{9, 0, 0, 4}, 2), 3.0, 1e-9);
  // Where V = [[1, 1]], V^T V is all ones, its norm sqrt(2).
  EXPECT_NEAR(OperatorNorm(std::vector<double>{1, 1, 1, 1}, 2), std::sqrt(2.0),
              1e-9);
  EXPECT_EQ(OperatorNorm(std::vector<double>(9, 0.0), 3), 0.0);
}

constexpr int64_t kDim = 2;

// This is one layer with one KV head and one query head, and four tokens.
struct Tokens {
  std::vector<float> keys = {1.0f, 0.0f, 0.0f, 1.0f, 0.5f, -1.0f, -1.0f, 0.5f};
  std::vector<float> values = {1.0f, 2.0f, -1.0f, 0.5f,
                               3.0f, 0.0f, 0.5f,  -2.0f};
  std::vector<float> queries = {0.1f, 0.2f, 0.3f, 0.1f, 0.2f, 0.4f, 0.7f, 0.9f};
};

// Runs tokens [first, first + count) through the policy, as the transformer
// would.
std::vector<float> RunStep(const Tokens& tokens, int first, int count,
                           CachePolicy& policy) {
  std::vector<int64_t> positions;
  std::vector<int> inside;
  for (int i = 0; i < count; ++i) {
    positions.push_back(first + i);
    inside.push_back(i);
  }
  const std::vector<Chunk> chunks = {{0, first, 0, count, 0, count, false}};
  const auto rows = [&](const std::vector<float>& all) {
    return Matrix<const float>(all.data() + first * kDim, count, kDim);
  };
  LayerStep step;
  step.chunks = chunks;
  step.tokens = step.owned = count;
  step.queries = rows(tokens.queries);
  step.sink_queries = step.queries;  // nothing is rotated here
  step.keys = rows(tokens.keys);
  step.values = rows(tokens.values);
  step.owned_positions = positions;
  step.owned_tokens = inside;
  PartialsBuffer buffer(count, kDim);
  const SoftmaxPartials out = buffer.Resize(count);
  policy.Attend(step, out);
  std::vector<float> log_partition(count), attention;
  LogPartition(out, log_partition);
  policy.Observe(step, log_partition);
  policy.Append(step);
  policy.EndStep();
  for (int64_t i = 0; i < kDim; ++i) {
    attention.push_back(out.weighted.row(count - 1)[i] /
                        out.partition[count - 1]);
  }
  return attention;
}

// This is softmax attention of the last token over some of the tokens, in
// doubles.
struct Attention {
  std::vector<double> output = std::vector<double>(kDim, 0.0);
  double norm_p = 0.0;
};
Attention Direct(const Tokens& tokens, const std::vector<int>& seen) {
  Attention attention;
  double sum = 0.0, squares = 0.0;
  for (const int i : seen) {
    const double logit = double{tokens.queries[6]} * tokens.keys[2 * i] +
                         double{tokens.queries[7]} * tokens.keys[2 * i + 1];
    const double p = std::exp(logit);
    sum += p;
    squares += p * p;
    for (int64_t c = 0; c < kDim; ++c) {
      attention.output[c] += p * tokens.values[2 * i + c];
    }
  }
  for (double& x : attention.output) x /= sum;
  attention.norm_p = std::sqrt(squares) / sum;
  return attention;
}

TEST(AttentionProbeTest, ErrorsOfAWindowByHand) {
  ModelConfig model;
  model.layers = 1;
  model.query_heads = model.kv_heads = 1;
  model.head_dim = kDim;
  EngineConfig config;
  config.prefill_chunk = 4;
  config.cache.policy = "window";
  config.cache.row_format = "f32";
  config.cache.budget_tokens = 2;
  config.cache.sink_tokens = 1;
  config.cache.recent_tokens = 1;
  auto probe = *AttentionProbe::Make(model, config, 3, MakeSingleRank());
  const auto backend = MakeReferenceBackend();
  CacheShape shape;
  shape.kv_heads = 1;
  shape.head_dim = kDim;
  shape.context_tokens = 10;
  StepWork work(*backend);
  const auto policy = *probe->Factory()(config.cache, shape, work);

  const Tokens tokens;
  RunStep(tokens, 0, 3, *policy);
  const std::vector<float> onward = RunStep(tokens, 3, 1, *policy);
  const Attention exact = Direct(tokens, {0, 1, 2, 3});
  const Attention window = Direct(tokens, {0, 2, 3});  // sink, recent, itself
  double difference = 0.0, length = 0.0;
  for (int64_t i = 0; i < kDim; ++i) {
    EXPECT_NEAR(onward[i], exact.output[i], 1e-6);  // the exact one goes on
    difference += std::pow(window.output[i] - exact.output[i], 2);
    length += std::pow(exact.output[i], 2);
  }
  // These are singular values of the 4 x 2 matrix of values, from the quadratic
  // formula.
  double a = 0.0, b = 0.0, c = 0.0;
  for (int i = 0; i < 4; ++i) {
    const double x = tokens.values[2 * i], y = tokens.values[2 * i + 1];
    a += x * x;
    b += x * y;
    c += y * y;
  }
  const double largest =
      std::sqrt((a + c + std::sqrt((a - c) * (a - c) + 4 * b * b)) / 2);
  const AttentionErrors errors = probe->Gather();
  ASSERT_EQ(errors.relative.size(), 1u);
  EXPECT_NEAR(errors.relative[0], std::sqrt(difference / length), 1e-5);
  EXPECT_NEAR(errors.of_bound[0],
              std::sqrt(difference) / (exact.norm_p * largest), 1e-5);
  EXPECT_GT(errors.relative[0], 0.01);
  EXPECT_EQ(policy->Stats(0).tokens_seen, 4);
}

}  // namespace
}  // namespace subgen
