// These are whole evaluations of a toy model.
#include "launch/evaluation/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "absl/strings/str_join.h"
#include "comm/thread_ranks.h"
#include "engine/config/config_file.h"
#include "kernels/base/status_macros.h"
#include "tests/support/model_file.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using testing::HasSubstr;

std::string WriteText(const std::string& name, int seed) {
  const std::string path = TestPath(name);
  std::ofstream file(path);
  for (int i = 0; i < 3000; ++i) {
    file << static_cast<char>('a' + (i * i + seed * i / 7) % 26);
  }
  return path;
}

// Returns a small plan: prompts of 40 tokens, budgets from 16 rows up.
EvaluationPlan SmallPlan(const std::string& policies) {
  EvaluationPlan plan = *ParsePlan("policies: " + policies, "plan");
  plan.texts = {WriteText("a.txt", 1), WriteText("b.txt", 2)};
  plan.budgets = {0.5, 1.0};
  plan.chunk = 8;
  plan.copy = {2, 16, 24};
  plan.perplexity = {2, 40, 60, 2};
  plan.passkey = {{160}, {0.5}, 2};
  plan.lines = {{1}, 2, 4};
  plan.attention = {2, 40, 52, true};
  return plan;
}

constexpr char kAll[] =
    "[{name: exact, cache.policy: exact},"
    " {name: window, cache.policy: window},"
    " {name: uniform, cache.policy: uniform},"
    " {name: h2o, cache.policy: heavy_hitter},"
    " {name: subgen, cache.policy: subgen}]";

absl::StatusOr<std::vector<ResultRow>> RunPlan(
    const EvaluationPlan& plan, int ranks = 1,
    const std::vector<std::string>& settings = {}) {
  std::vector<ResultRow> rows;
  EvaluationOptions options;
  options.plan = plan;
  std::vector<std::string> shared = {
      "model=" + WriteToyModel({}, "evaluation"),
      "backend=reference",
      "context_tokens=700",
      "prefill_chunk=" + std::to_string(plan.chunk),
      "cache.row_format=f32",
      "cache.sink_tokens=2",
      "cache.recent_tokens=4"};
  shared.insert(shared.end(), settings.begin(), settings.end());
  for (const PolicyChoice& policy : plan.policies) {
    ConfigSources sources;
    sources.settings = shared;
    sources.settings.insert(sources.settings.end(), policy.settings.begin(),
                            policy.settings.end());
    ASSIGN_OR_RETURN(const EngineConfig config, LoadConfig(sources));
    options.policies.push_back(config);
  }
  RETURN_IF_ERROR(RunThreadRanks(
      ranks, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        ASSIGN_OR_RETURN(const Model model, LoadModel(options.policies[0]));
        ASSIGN_OR_RETURN(const auto found, Evaluate(options, model, *world));
        if (world->rank() == 0) rows = found;
        return absl::OkStatus();
      }));
  return rows;
}

const ResultRow* Find(const std::vector<ResultRow>& rows,
                      const std::string& metric, const std::string& policy,
                      const std::string& mode, double budget) {
  for (const ResultRow& row : rows) {
    if (row.metric == metric && row.policy == policy && row.mode == mode &&
        row.budget_fraction == budget && row.layer < 0) {
      return &row;
    }
  }
  return nullptr;
}

// With room for the whole prompt nothing is lost in it, so it does not matter
// when a policy begins to choose. With half the room, exact is different.
TEST(EvaluationTest, OnceAndStreamAreOneAtFullBudget) {
  EvaluationPlan plan = SmallPlan(kAll);
  const auto rows = RunPlan(plan);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->size(), 2u * (1 + 4 * 2 * 2));
  const ResultRow* exact = Find(*rows, "perplexity", "exact", "exact", 1.0);
  ASSERT_NE(exact, nullptr);
  for (const char* policy : {"window", "uniform", "h2o", "subgen"}) {
    const ResultRow* once = Find(*rows, "perplexity", policy, "once", 1.0);
    const ResultRow* stream = Find(*rows, "perplexity", policy, "stream", 1.0);
    ASSERT_TRUE(once != nullptr && stream != nullptr);
    EXPECT_NEAR(once->estimate.value / stream->estimate.value, 1.0, 1e-5)
        << policy;
    EXPECT_EQ(once->bytes_per_head, stream->bytes_per_head);
    EXPECT_LT(once->bytes_per_head, exact->bytes_per_head);
    const ResultRow* half = Find(*rows, "perplexity", policy, "once", 0.5);
    EXPECT_GT(std::abs(half->estimate.value - exact->estimate.value), 1e-4);
    EXPECT_LT(half->bytes_per_head, once->bytes_per_head);
    EXPECT_EQ(half->estimate.n, 2);
  }
}

// There are 60 tokens, the last of which is not read, in 40 and then at most 20
// rows of 2 * 16 floats.
TEST(EvaluationTest, BytesAreThoseOfTheRows) {
  EvaluationPlan plan = SmallPlan("[{name: window, cache.policy: window}]");
  plan.tasks = {"perplexity"};
  const auto rows = *RunPlan(plan);
  const ResultRow* half = Find(rows, "perplexity", "window", "stream", 0.5);
  ASSERT_NE(half, nullptr);
  EXPECT_EQ(half->bytes_per_head, 20 * 2 * 16 * 4);
  plan.budget_of = "bytes";  // of rows in 16 bits: half as many in f32
  const auto of_bytes = *RunPlan(plan);
  EXPECT_EQ(Find(of_bytes, "perplexity", "window", "once", 1.0)->bytes_per_head,
            20 * 2 * 16 * 4);
}

TEST(EvaluationTest, EveryTaskOnAnyRanksGivesTheSameRows) {
  EvaluationPlan plan = SmallPlan(
      "[{name: exact, cache.policy: exact},"
      " {name: window, cache.policy: window}]");
  plan.tasks = {"attention", "lines", "passkey", "perplexity", "copy"};
  plan.budgets = {0.5};
  const auto one = RunPlan(plan);
  ASSERT_TRUE(one.ok()) << one.status();
  for (const char* grid : {"ranks.head_shards=3", "ranks.token_shards=3"}) {
    const auto three = RunPlan(plan, 3, {grid, "ranks.token_block=4"});
    ASSERT_TRUE(three.ok()) << three.status();
    ASSERT_EQ(one->size(), three->size());
    for (size_t i = 0; i < one->size(); ++i) {
      const ResultRow &a = (*one)[i], &b = (*three)[i];
      EXPECT_EQ(a.task + a.metric + a.policy + a.mode,
                b.task + b.metric + b.policy + b.mode);
      EXPECT_EQ(a.layer, b.layer);
      // Float sums come in another order; errors of exact are nothing else.
      EXPECT_NEAR(a.estimate.value, b.estimate.value,
                  1e-4 * std::abs(a.estimate.value) + 1e-5)
          << a.task << " " << a.metric << " " << grid;
    }
  }
}

// Policies that share the reading of a prompt (shared_prompt.h) find what each
// finds alone: the same bits, as nothing is computed in another order.
TEST(EvaluationTest, PoliciesThatShareAPromptFindWhatEachFindsAlone) {
  const std::vector<std::string> policies = {
      "{name: exact, cache.policy: exact}",
      "{name: h2o, cache.policy: heavy_hitter}",
      "{name: snap_kv, cache.policy: snap_kv}",
      "{name: turned, cache.policy: uniform, cache.rotate: true}",
      "{name: equal, cache.policy: subgen, cache.head_budgets: equal}"};
  const auto measure = [](const std::string& list) {
    EvaluationPlan plan = SmallPlan(list);
    plan.tasks = {"copy", "passkey", "lines"};
    plan.modes = {"once"};
    plan.budgets = {0.5};
    return *RunPlan(plan);
  };
  const auto together =
      measure(absl::StrCat("[", absl::StrJoin(policies, ", "), "]"));
  size_t found = 0;
  for (const std::string& policy : policies) {
    for (const ResultRow& alone : measure(absl::StrCat("[", policy, "]"))) {
      for (const ResultRow& row : together) {
        if (row.policy != alone.policy || row.metric != alone.metric) continue;
        EXPECT_EQ(row.estimate.value, alone.estimate.value)
            << row.policy << " " << row.metric;
        EXPECT_EQ(row.bytes_per_head, alone.bytes_per_head) << row.policy;
        ++found;
      }
    }
  }
  EXPECT_EQ(found, together.size());
}

TEST(EvaluationTest, AttentionErrorsOfExactAreZeroAndShrinkWithTheBudget) {
  EvaluationPlan plan = SmallPlan(kAll);
  plan.tasks = {"attention"};
  const auto rows = *RunPlan(plan);
  const char* metric = "relative error";
  EXPECT_LT(Find(rows, metric, "exact", "exact", 1.0)->estimate.value, 1e-5);
  for (const char* policy : {"window", "uniform", "h2o", "subgen"}) {
    const double half = Find(rows, metric, policy, "once", 0.5)->estimate.value;
    const double whole =
        Find(rows, metric, policy, "once", 1.0)->estimate.value;
    EXPECT_GT(half, 0.01) << policy;
    EXPECT_LT(whole, half) << policy;
  }
  // There is a row for each of 2 layers x 6 heads and each of two metrics.
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(),
                          [](const ResultRow& row) {
                            return row.policy == "exact" && row.layer >= 0;
                          }),
            2 * 12);
}

TEST(EvaluationTest, MistakesAreNamed) {
  EvaluationPlan plan = SmallPlan("[{name: tiny, cache.policy: subgen}]");
  plan.budgets = {0.1};
  EXPECT_THAT(RunPlan(plan, 2).status().message(),
              testing::AllOf(HasSubstr("tiny"), HasSubstr("budget")));
  plan = SmallPlan(kAll);
  plan.texts = {"/nowhere.txt"};
  EXPECT_THAT(RunPlan(plan, 2).status().message(), HasSubstr("/nowhere.txt"));
  plan = SmallPlan(kAll);
  plan.tasks = {"passkey"};
  plan.passkey.lengths = {100000};
  EXPECT_FALSE(RunPlan(plan).ok());
  plan.passkey.lengths = {800};
  EXPECT_THAT(RunPlan(plan).status().message(), HasSubstr("700"));
}

}  // namespace
}  // namespace subgen
