// These test collectives on the queue of a backend's device, over the emulated
// NCCL and runtime: ranks are threads.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "comm/nccl/nccl_ranks.h"
#include "comm/partial_merge.h"
#include "comm/thread_ranks.h"
#include "kernels/backend.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr int64_t kRows = 37, kDim = 19;
constexpr double kSpread = 40.0;  // of max_logit

class NcclQueueTest : public testing::Test {
 protected:
  ~NcclQueueTest() override {
    emulation::SetEmulatedDevices(1);
    emulation::SetStuck(false);
    unsetenv("SUBGEN_FAKE_NCCL");
  }

  using Body = std::function<void(Communicator&, Backend&)>;
  // The backend goes before the ranks.
  static absl::Status Run(int ranks, double deadline, const Body& body) {
    emulation::SetEmulatedDevices(ranks);
    return RunThreadRanks(ranks, [&](auto bootstrap) -> absl::Status {
      NcclOptions options;
      options.library = SUBGEN_FAKE_NCCL;
      options.device = bootstrap->rank();
      options.deadline_seconds = deadline;
      ASSIGN_OR_RETURN(auto nccl, MakeNcclRanks(std::move(bootstrap), options));
      ASSIGN_OR_RETURN(auto backend, MakeCudaBackend(options.device));
      body(*nccl, *backend);
      return absl::OkStatus();
    });
  }
  static void Sum(Communicator& ranks, Backend& backend) {
    Buffer<float> data(3, backend.mirror());
    ranks.AllReduce(backend, data.span(), ReduceOp::kSum);
    ReadByHost(backend, data.span());
  }
};

TEST_F(NcclQueueTest, ReducesWhereItLies) {
  const auto body = [](Communicator& ranks, Backend& backend) {
    Buffer<float> sum(5, backend.mirror()), max(5, backend.mirror());
    for (int turn = 0; turn < 4; ++turn) {
      for (int i = 0; i < 5; ++i) sum[i] = max[i] = i * (1 + ranks.rank());
      WrittenByHost(backend, sum.span());
      WrittenByHost(backend, max.span());
      ranks.AllReduce(backend, sum.span(), ReduceOp::kSum);
      backend.Add(max.matrix(1, 5), sum.matrix(1, 5));
      ranks.AllReduce(backend, max.span(), ReduceOp::kMax);
      ReadByHost(backend, sum.span());
      ReadByHost(backend, max.span());
      const int n = ranks.size(), mine = 1 + ranks.rank();
      for (int i = 0; i < 5; ++i) {
        ASSERT_EQ(sum[i], i * (n * (n + 1) / 2 + mine)) << turn;
        ASSERT_EQ(max[i], i * n) << turn;
      }
    }
    EXPECT_EQ(ranks.stats().calls, 8);
    EXPECT_EQ(ranks.stats().bytes, 8 * 5 * 4);
  };
  for (int ranks = 2; ranks <= 4; ++ranks) {
    EXPECT_EQ(Run(ranks, 20.0, body), absl::OkStatus());
  }
}

TEST_F(NcclQueueTest, GathersWhateverEachHandsIn) {
  const auto body = [](Communicator& ranks, Backend& backend) {
    for (const std::vector<int>& counts :
         {std::vector<int>{4, 4, 4}, {5, 0, 2}, {0, 0, 7}}) {
      const int count = counts[ranks.rank()];
      const int sum = counts[0] + counts[1] + counts[2];
      Buffer<float> mine(count, backend.mirror()), all(sum, backend.mirror());
      for (int turn = 0; turn < 3; ++turn) {
        for (int i = 0; i < count; ++i) {
          mine[i] = 100 * ranks.rank() + i + turn;
        }
        WrittenByHost(backend, mine.span());
        ranks.AllGather(backend, mine.span(), counts, all.span());
        ReadByHost(backend, all.span());
        int at = 0;
        for (int rank = 0; rank < 3; ++rank) {
          for (int i = 0; i < counts[rank]; ++i, ++at) {
            ASSERT_EQ(all[at], 100 * rank + i + turn);
          }
        }
      }
    }
  };
  EXPECT_EQ(Run(3, 20.0, body), absl::OkStatus());
}

// The order of calls is kept though one is on the queue and one is not.
TEST_F(NcclQueueTest, CallsOnHostNumbersComeAfterThoseOnTheQueue) {
  const auto body = [](Communicator& ranks, Backend& backend) {
    Buffer<float> queued(2, backend.mirror());
    std::vector<float> host(2, 1.0f);
    if (ranks.rank() == 1) {
      // This rank alone has a reason to run its queue; no other waits for it.
      Sum(ranks, backend);
    } else {
      Buffer<float> data(3, backend.mirror());
      ranks.AllReduce(backend, data.span(), ReduceOp::kSum);
      ranks.AllReduce(backend, queued.span(), ReduceOp::kSum);
      ranks.AllReduce(host, ReduceOp::kSum);
      ASSERT_EQ(host[1], ranks.size());
      return;
    }
    ranks.AllReduce(backend, queued.span(), ReduceOp::kSum);
    ranks.AllReduce(host, ReduceOp::kSum);
    ASSERT_EQ(host[1], ranks.size());
  };
  EXPECT_EQ(Run(3, 20.0, body), absl::OkStatus());
}

// Fills in partials of a rank; a third of the rows are empty.
void Fill(int rank, int turn, PartialsBuffer* partials) {
  std::mt19937 random(100 * turn + rank);
  std::uniform_real_distribution<float> logit(-kSpread / 2, kSpread / 2);
  std::uniform_real_distribution<float> number(1.0f, 5.0f);
  const SoftmaxPartials view = partials->Resize(kRows);
  SetEmpty(view);
  for (int64_t i = 1; i < kRows; ++i) {
    if (random() % 3 == 0) continue;
    view.max_logit[i] = logit(random);
    view.partition[i] = number(random);
    for (float& x : view.weighted.row(i)) x = number(random);
  }
}

TEST_F(NcclQueueTest, MergesAsTheHostDoes) {
  for (const MergeMethod method :
       {MergeMethod::kAllReduce, MergeMethod::kAllGather}) {
    const auto body = [&](Communicator& ranks, Backend& backend) {
      PartialMerger on_device(ranks, method, kRows, kDim, &backend);
      PartialsBuffer merged(kRows, kDim, backend.mirror());
      for (int turn = 0; turn < 4; ++turn) {
        Fill(ranks.rank(), turn, &merged);
        WrittenByHost(backend, merged.packed());
        on_device.Merge(merged);
        ReadByHost(backend, merged.packed());
        PartialsBuffer expected(kRows, kDim);
        SetEmpty(expected.Resize(kRows));
        for (int rank = 0; rank < ranks.size(); ++rank) {
          PartialsBuffer part(kRows, kDim);
          Fill(rank, turn, &part);
          MergePartials(part.view(), expected.view());
        }
        // The bound is for positive numbers, as in
        // tests/comm/partial_merge_test.cc, on both sides.
        const double bound = 2.02 * (4 * ranks.size() + kSpread) * 0x1p-24;
        for (size_t i = 0; i < expected.packed().size(); ++i) {
          const float wanted = expected.packed()[i];
          if (std::isinf(wanted)) {
            ASSERT_EQ(merged.packed()[i], wanted) << i;
          } else {
            ASSERT_NEAR(merged.packed()[i], wanted, bound * std::abs(wanted));
          }
        }
      }
    };
    EXPECT_EQ(Run(4, 20.0, body), absl::OkStatus());
  }
}

using NcclQueueDeathTest = NcclQueueTest;

TEST_F(NcclQueueDeathTest, AFaultOnTheQueueEndsTheJob) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fault = [&](const char* name) {
    setenv("SUBGEN_FAKE_NCCL", name, 1);
    (void)Run(2, 0.2, Sum);
  };
  EXPECT_DEATH(fault("error"),
               "rank . of 2 on .*: NCCL, up to call 1: remote process exited: "
               "connection closed");
  EXPECT_DEATH(fault("stuck_collective"), "is a peer lost");
  // It was put on the stream and does not end there.
  const auto stuck = [&] {
    emulation::SetStuck(true);
    (void)Run(2, 0.2, Sum);
  };
  EXPECT_DEATH(stuck(),
               "rank . of 2 on .*: NCCL, up to call 1: not done after 0.2 "
               "seconds; is a peer lost");
}

}  // namespace
}  // namespace subgen
