// The transformer is compared with itself: ranks, chunks and batches must not
// change what it computes. Other implementations' numbers are in tests/golden.
#include "engine/model/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "comm/thread_ranks.h"
#include "kernels/base/status_macros.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using Logits = std::vector<std::vector<float>>;

struct Experiment {
  ToyModel toy;
  int ranks = 1;
  GridOptions grid;
  MergeMethod merge = MergeMethod::kAllReduce;
  CacheConfig cache;
  int slots = 1;
};

CacheConfig FloatCache() {
  CacheConfig cache;
  cache.row_format = "f32";
  return cache;
}

absl::StatusOr<Logits> ForwardOnRank(const Experiment& experiment,
                                     const std::string& path,
                                     const std::vector<Batch>& steps,
                                     std::unique_ptr<Communicator> world) {
  ASSIGN_OR_RETURN(const ModelFile file, ReadGgufModel(path, {}));
  ASSIGN_OR_RETURN(
      const GridShape shape,
      PlanGrid(experiment.grid, world->size(), file.config.kv_heads));
  RankGrid grid = MakeGrid(shape, std::move(world));
  const auto backend = MakeReferenceBackend();
  const TransformerOptions options{experiment.cache, experiment.merge, 256, 64,
                                   experiment.slots};
  ASSIGN_OR_RETURN(const auto transformer,
                   Transformer::Make(file, options, grid, *backend));
  Logits all;
  for (const Batch& step : steps) {
    const Matrix<const float> logits = transformer->Forward(step);
    for (int64_t i = 0; i < logits.rows; ++i) {
      all.emplace_back(logits.row(i).begin(), logits.row(i).end());
    }
  }
  return all;
}

// Returns the logits of every step, the same on every rank.
Logits Forward(const Experiment& experiment, const std::vector<Batch>& steps) {
  const std::string path = WriteToyModel(
      experiment.toy, absl::StrCat("transformer_", experiment.toy.architecture,
                                   "_", experiment.toy.kv_heads));
  std::mutex mutex;
  std::vector<Logits> of_rank(experiment.ranks);
  const absl::Status status = RunThreadRanks(
      experiment.ranks,
      [&](std::unique_ptr<Communicator> world) -> absl::Status {
        const int rank = world->rank();
        ASSIGN_OR_RETURN(Logits logits, ForwardOnRank(experiment, path, steps,
                                                      std::move(world)));
        const std::lock_guard lock(mutex);
        of_rank[rank] = std::move(logits);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  for (const Logits& logits : of_rank) EXPECT_EQ(logits, of_rank[0]);
  return of_rank[0];
}

std::vector<int> Tokens(int count, int seed) {
  std::vector<int> tokens;
  for (int i = 0; i < count; ++i) {
    tokens.push_back((i * 7 + seed * 31 + i * i) % kToyVocabulary);
  }
  return tokens;
}

// Returns the steps of a prompt read in chunks of the given size, then of some
// tokens one by one.
std::vector<Batch> Steps(int slot, int prompt, int chunk, int decoded) {
  std::vector<Batch> steps;
  const std::vector<int> tokens = Tokens(prompt + decoded, slot + 1);
  for (int first = 0; first < prompt + decoded;) {
    const int count = first < prompt ? std::min(chunk, prompt - first) : 1;
    BatchRun run{slot, first, {}, first + count == prompt, true};
    run.tokens.assign(tokens.begin() + first, tokens.begin() + first + count);
    steps.push_back({run});
    first += count;
  }
  return steps;
}

double LargestDifference(const Logits& a, const Logits& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a[i].size(); ++j) {
      largest = std::max(largest, std::abs(double{a[i][j]} - double{b[i][j]}));
    }
  }
  return largest;
}

// Reordered sums differ by rounding only. Per layer two sums over at most 160
// products are stored as floats and pass through norms of gain near 1; the
// logit is a sum over 64 products of |x| <= 1.2 sqrt(64) and |w| ~ 0.05. So the
// bound is layers * 2 * eps * (norm of the residual stream) * |w| sqrt(64) with
// a factor of 16 for the growth through softmax and SiLU.
double RoundingBound(const ToyModel& toy) {
  const double eps = std::numeric_limits<float>::epsilon();
  const double norm = 1.2 * std::sqrt(static_cast<double>(toy.embedding));
  return 16.0 * toy.layers * 2 * eps * norm * 0.15 *
         std::sqrt(static_cast<double>(toy.embedding));
}

struct RanksCase {
  int ranks, head_shards, token_shards, token_block;
  std::string architecture;
  int kv_heads;
  MergeMethod merge = MergeMethod::kAllReduce;
};

class RanksTest : public testing::TestWithParam<RanksCase> {};

TEST_P(RanksTest, EqualOneRank) {
  const RanksCase& param = GetParam();
  Experiment experiment;
  experiment.toy.architecture = param.architecture;
  experiment.toy.kv_heads = param.kv_heads;
  // Four KV heads of three query heads have 48 features, which straddle blocks.
  if (param.kv_heads == 4) experiment.toy.query_heads = 12;
  experiment.cache = FloatCache();
  const std::vector<Batch> steps = Steps(0, 37, 16, 5);
  const Logits expected = Forward(experiment, steps);

  experiment.ranks = param.ranks;
  experiment.grid = {param.head_shards, param.token_shards, param.token_block};
  experiment.merge = param.merge;
  const Logits actual = Forward(experiment, steps);

  const double difference = LargestDifference(expected, actual);
  RecordProperty("largest_logit_difference", absl::StrCat(difference));
  EXPECT_LE(difference, RoundingBound(experiment.toy));
}

INSTANTIATE_TEST_SUITE_P(
    Grids, RanksTest,
    testing::Values(
        RanksCase{2, 2, 1, 16, "llama", 3}, RanksCase{2, 1, 2, 1, "llama", 3},
        RanksCase{2, 1, 2, 16, "llama", 3, MergeMethod::kAllGather},
        RanksCase{3, 3, 1, 16, "qwen2", 3}, RanksCase{3, 1, 3, 4, "qwen3", 3},
        RanksCase{4, 2, 2, 1, "llama", 3},
        RanksCase{4, 2, 2, 16, "qwen2", 3, MergeMethod::kAllGather},
        RanksCase{6, 3, 2, 2, "llama", 3}, RanksCase{4, 4, 1, 16, "llama", 4},
        RanksCase{8, 4, 2, 3, "llama", 4}, RanksCase{7, 1, 7, 1, "llama", 3}),
    [](const auto& info) {
      const RanksCase& p = info.param;
      return absl::StrCat(
          p.architecture, p.ranks, "Ranks", p.head_shards, "x", p.token_shards,
          "Block", p.token_block,
          MergeMethodName(p.merge) == "all_reduce" ? "Reduce" : "Gather",
          p.kv_heads);
    });

// Heads keep what they keep on one rank: the shares of the budget are the same,
// and so are the choices, so that only rounding differs.
TEST(TransformerTest, HeadShardsKeepTheSameCenters) {
  Experiment experiment;
  experiment.cache = FloatCache();
  experiment.cache.policy = "subgen";
  experiment.cache.budget_tokens = 20;
  experiment.cache.sink_tokens = 2;
  experiment.cache.recent_tokens = 6;
  for (const char* when : {"stream", "once"}) {
    experiment.cache.when = when;
    experiment.ranks = 1;
    experiment.grid = {};
    const std::vector<Batch> steps = Steps(0, 80, 16, 5);
    const Logits expected = Forward(experiment, steps);
    Experiment equal = experiment;
    equal.cache.head_budgets = "equal";
    EXPECT_NE(Forward(equal, steps), expected);
    experiment.ranks = 3;
    experiment.grid = {3, 1, 16};
    EXPECT_LE(LargestDifference(expected, Forward(experiment, steps)),
              RoundingBound(experiment.toy))
        << when;
  }
}

TEST(TransformerTest, ChunksDoNotChangeTheLogits) {
  Experiment experiment;
  experiment.cache = FloatCache();
  const Logits expected = Forward(experiment, Steps(0, 40, 40, 4));
  for (const int chunk : {1, 7, 16}) {
    const Logits actual = Forward(experiment, Steps(0, 40, chunk, 4));
    EXPECT_LE(LargestDifference(expected, actual),
              RoundingBound(experiment.toy))
        << "chunk " << chunk;
  }
}

// A Hadamard transform is undone where attention ends; in float rows only
// rounding differs.
TEST(TransformerTest, TurnedRowsDoNotChangeTheLogits) {
  Experiment experiment;
  experiment.cache = FloatCache();
  experiment.cache.rotate = "false";
  const Logits expected = Forward(experiment, Steps(0, 40, 16, 4));
  experiment.cache.rotate = "true";
  const Logits turned = Forward(experiment, Steps(0, 40, 16, 4));
  EXPECT_NE(turned, expected);
  EXPECT_LE(LargestDifference(expected, turned), RoundingBound(experiment.toy));
  experiment.ranks = 4;
  experiment.grid = {2, 2, 4};
  EXPECT_LE(
      LargestDifference(expected, Forward(experiment, Steps(0, 40, 16, 4))),
      2 * RoundingBound(experiment.toy));
}

TEST(TransformerTest, SequencesInOneBatchDoNotMix) {
  Experiment experiment;
  experiment.cache = FloatCache();
  experiment.slots = 2;
  const std::vector<Batch> first = Steps(0, 20, 10, 6);
  const std::vector<Batch> second = Steps(1, 20, 10, 6);
  const Logits alone = Forward(experiment, second);

  std::vector<Batch> together;
  for (size_t i = 0; i < first.size(); ++i) {
    together.push_back({first[i][0], second[i][0]});
  }
  const Logits both = Forward(experiment, together);
  Logits of_second;
  size_t row = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    row += first[i][0].tokens.size();
    for (size_t j = 0; j < second[i][0].tokens.size(); ++j) {
      of_second.push_back(both[row++]);
    }
  }
  // The reference treats every row alone: not even rounding may differ.
  EXPECT_EQ(of_second, alone);
}

TEST(TransformerTest, ASequenceAfterAnotherInTheSameSlotStartsEmpty) {
  Experiment experiment;
  experiment.cache = FloatCache();
  const std::string path = WriteToyModel(experiment.toy, "transformer_forget");
  const ModelFile file = *ReadGgufModel(path, {});
  RankGrid grid = MakeGrid(*PlanGrid({}, 1, 3), MakeSingleRank());
  const auto backend = MakeReferenceBackend();
  const auto transformer = *Transformer::Make(
      file, {experiment.cache, experiment.merge, 256, 64, 1}, grid, *backend);
  const Batch prompt = Steps(0, 12, 12, 0)[0];
  const Matrix<const float> first = transformer->Forward(prompt);
  const std::vector<float> expected(first.data, first.data + kToyVocabulary);

  EXPECT_EQ(transformer->caches().Use(0).rows, 2 * 3 * 12);
  EXPECT_EQ(transformer->caches().Use(0).exact_bytes, 2 * 3 * 12 * 2 * 16 * 4);
  transformer->caches().Forget(0);
  EXPECT_EQ(transformer->caches().Use(0).rows, 0);

  const Matrix<const float> again = transformer->Forward(prompt);
  EXPECT_EQ(std::vector<float>(again.data, again.data + kToyVocabulary),
            expected);
}

TEST(TransformerTest, LogitsOnlyOfTheRowsAskedFor) {
  Experiment experiment;
  experiment.cache = FloatCache();
  std::vector<Batch> steps = Steps(0, 10, 10, 0);
  const Logits all = Forward(experiment, steps);
  steps[0][0].all_logits = false;
  const Logits last = Forward(experiment, steps);
  ASSERT_EQ(all.size(), 10u);
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0], all[9]);
}

}  // namespace
}  // namespace subgen
