#include "comm/partial_merge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "comm/thread_ranks.h"

namespace subgen {
namespace {

constexpr float kEmpty = -std::numeric_limits<float>::infinity();
constexpr int64_t kRows = 37;
constexpr int64_t kHeadDim = 19;
constexpr double kSpread = 80.0;  // of max_logit: from -40 to 40

// Returns partials of `rank`; about a third of the rows are empty, and row 0
// always.
PartialsBuffer RandomPartials(int rank) {
  std::mt19937 random(1000 + rank);
  std::uniform_real_distribution<float> logit(-kSpread / 2, kSpread / 2);
  std::uniform_real_distribution<float> partition(1.0f, 50.0f);
  std::normal_distribution<float> weighted(0.0f, 5.0f);
  PartialsBuffer partials(kRows, kHeadDim);
  const SoftmaxPartials view = partials.Resize(kRows);
  SetEmpty(view);
  for (int64_t i = 1; i < kRows; ++i) {
    if (random() % 3 == 0) continue;
    view.max_logit[i] = logit(random);
    view.partition[i] = partition(random);
    for (float& w : view.weighted.row(i)) w = weighted(random);
  }
  return partials;
}

// This is a merged number in double, and the sum of the magnitudes of its
// terms.
struct Exact {
  double sum = 0.0;
  double magnitude = 0.0;
  void Add(double term) {
    sum += term;
    magnitude += std::abs(term);
  }
};

// Each term is scaled at most n times. A scaling is an exponential within 2
// units u of its true value and a product (1 u); the rounded differences
// inside the exponentials add up to kSpread u at most; then come n sums. The 1%
// covers higher orders.
double Bound(int n, const Exact& exact) {
  constexpr double u = std::numeric_limits<float>::epsilon() / 2;
  return 1.01 * (4 * n + kSpread) * u * exact.magnitude;
}

void ExpectMerged(int n, const SoftmaxPartials& got) {
  std::vector<PartialsBuffer> all;
  for (int rank = 0; rank < n; ++rank) all.push_back(RandomPartials(rank));
  for (int64_t i = 0; i < kRows; ++i) {
    float max = kEmpty;
    for (auto& part : all) max = std::max(max, part.view().max_logit[i]);
    ASSERT_EQ(got.max_logit[i], max);
    Exact partition;
    std::vector<Exact> weighted(kHeadDim);
    for (auto& part : all) {
      const SoftmaxPartials from = part.view();
      if (from.max_logit[i] == kEmpty) continue;
      const double factor = std::exp(double{from.max_logit[i]} - max);
      partition.Add(factor * from.partition[i]);
      for (int64_t c = 0; c < kHeadDim; ++c) {
        weighted[c].Add(factor * from.weighted.row(i)[c]);
      }
    }
    ASSERT_NEAR(got.partition[i], partition.sum, Bound(n, partition)) << i;
    for (int64_t c = 0; c < kHeadDim; ++c) {
      ASSERT_NEAR(got.weighted.row(i)[c], weighted[c].sum,
                  Bound(n, weighted[c]))
          << i << " " << c;
    }
  }
}

class Merge : public ::testing::TestWithParam<MergeMethod> {};

TEST_P(Merge, EqualsTheSumsOverAllRanks) {
  for (int n = 1; n <= 8; ++n) {
    const absl::Status status = RunThreadRanks(n, [&](auto ranks) {
      PartialMerger merger(*ranks, GetParam(), kRows + 3, kHeadDim);
      PartialsBuffer mine = RandomPartials(ranks->rank());
      merger.Merge(mine);
      ExpectMerged(n, mine.view());
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(MergePartials, OnOneRankKeepsTheSameBound) {
  for (int n = 1; n <= 8; ++n) {
    PartialsBuffer into = RandomPartials(0);
    for (int rank = 1; rank < n; ++rank) {
      MergePartials(RandomPartials(rank).view(), into.view());
    }
    ExpectMerged(n, into.view());
  }
}

TEST_P(Merge, GivesTheSameBitsOnAllRanks) {
  constexpr int kRanks = 5;
  std::vector<PartialsBuffer> merged(kRanks);
  const absl::Status status = RunThreadRanks(kRanks, [&](auto ranks) {
    PartialMerger merger(*ranks, GetParam(), kRows, kHeadDim);
    PartialsBuffer& mine = merged[ranks->rank()];
    mine = RandomPartials(ranks->rank());
    merger.Merge(mine);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  for (int rank = 1; rank < kRanks; ++rank) {
    EXPECT_EQ(
        std::memcmp(merged[0].packed().data(), merged[rank].packed().data(),
                    merged[0].packed().size_bytes()),
        0);
  }
}

TEST_P(Merge, EmptyOnAllRanksStaysEmpty) {
  const absl::Status status = RunThreadRanks(3, [&](auto ranks) {
    PartialMerger merger(*ranks, GetParam(), 4, 2);
    PartialsBuffer mine(4, 2);
    for (const int64_t rows : {4, 1, 0}) {
      const SoftmaxPartials view = mine.Resize(rows);
      SetEmpty(view);
      merger.Merge(mine);
      for (const float max : view.max_logit) EXPECT_EQ(max, kEmpty);
      for (const float sum : mine.sums()) EXPECT_EQ(sum, 0.0f);
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(Merge, AnEmptySideHasNoWeightWhateverItHolds) {
  const absl::Status status = RunThreadRanks(2, [&](auto ranks) {
    PartialMerger merger(*ranks, GetParam(), 1, 1);
    PartialsBuffer mine(1, 1);
    const SoftmaxPartials view = mine.Resize(1);
    view.max_logit[0] = ranks->rank() == 1 ? kEmpty : 1.0f;
    view.partition[0] = ranks->rank() == 1 ? INFINITY : 2.0f;
    view.weighted.row(0)[0] = ranks->rank() == 1 ? NAN : 3.0f;
    merger.Merge(mine);
    EXPECT_EQ(view.max_logit[0], 1.0f);
    EXPECT_EQ(view.partition[0], 2.0f);
    EXPECT_EQ(view.weighted.row(0)[0], 3.0f);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(Merge, NaNIsNotHidden) {
  const absl::Status status = RunThreadRanks(3, [&](auto ranks) {
    PartialMerger merger(*ranks, GetParam(), 1, 1);
    PartialsBuffer mine(1, 1);
    const SoftmaxPartials view = mine.Resize(1);
    view.max_logit[0] = ranks->rank() == 1 ? NAN : 1.0f;
    view.partition[0] = 1.0f;
    view.weighted.row(0)[0] = 1.0f;
    merger.Merge(mine);
    EXPECT_TRUE(std::isnan(view.weighted.row(0)[0]));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(Merge, CallsAsManyCollectivesAsItSays) {
  const absl::Status status = RunThreadRanks(2, [&](auto ranks) {
    PartialMerger merger(*ranks, GetParam(), kRows, kHeadDim);
    PartialsBuffer mine = RandomPartials(ranks->rank());
    merger.Merge(mine);
    const bool reduce = GetParam() == MergeMethod::kAllReduce;
    EXPECT_EQ(ranks->stats().calls, reduce ? 2 : 1);
    EXPECT_EQ(ranks->stats().bytes, 4 * kRows * (2 + kHeadDim));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

INSTANTIATE_TEST_SUITE_P(Methods, Merge,
                         ::testing::Values(MergeMethod::kAllReduce,
                                           MergeMethod::kAllGather),
                         [](const auto& info) {
                           return std::string(MergeMethodName(info.param));
                         });

TEST(ParseMergeMethod, KnowsItsNames) {
  for (const MergeMethod method :
       {MergeMethod::kAllReduce, MergeMethod::kAllGather}) {
    EXPECT_EQ(*ParseMergeMethod(MergeMethodName(method)), method);
  }
  EXPECT_EQ(ParseMergeMethod("ring").status().message(),
            "ranks.merge = \"ring\": must be all_reduce or all_gather");
}

}  // namespace
}  // namespace subgen
