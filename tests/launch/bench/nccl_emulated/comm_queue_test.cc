// subgen_bench_comm times collectives as the engine calls them: on the queue of
// each rank's device, as a graph.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "comm/nccl/nccl_ranks.h"
#include "comm/thread_ranks.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/comm_bench.h"

namespace subgen {
namespace {

constexpr int kRanks = 3;

class CommQueueTest : public testing::TestWithParam<CommOperation> {
 protected:
  CommQueueTest() { emulation::SetEmulatedDevices(kRanks); }
  ~CommQueueTest() override { emulation::SetEmulatedDevices(1); }

  // Returns the number of graphs that all ranks launched.
  int64_t Measure(bool on_queue) {
    const int64_t before = emulation::CountsSoFar().graph_launches;
    const absl::Status status = RunThreadRanks(
        kRanks, [&](std::unique_ptr<Communicator> bootstrap) -> absl::Status {
          NcclOptions nccl;
          nccl.library = SUBGEN_FAKE_NCCL;
          nccl.device = bootstrap->rank();
          nccl.deadline_seconds = 60.0;
          ASSIGN_OR_RETURN(auto world,
                           MakeNcclRanks(std::move(bootstrap), nccl));
          ASSIGN_OR_RETURN(auto backend, MakeCudaBackend(nccl.device));
          CommBenchOptions options;
          options.head_dim = 10;
          options.warm_up = 1;
          options.calls = 4;
          if (on_queue) options.backend = backend.get();
          for (const int64_t count : {17, 1200}) {
            const CommRow row = MeasureComm(GetParam(), count, options, *world);
            EXPECT_EQ(row.wrong, 0) << CommOperationName(GetParam());
            EXPECT_GT(row.microseconds, 0.0);
          }
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return emulation::CountsSoFar().graph_launches - before;
  }
};

TEST_P(CommQueueTest, WhatIsTimedIsAGraph) {
  // Of two sizes, at least the last of three lists each is a graph.
  EXPECT_GE(Measure(true), 2 * kRanks);
  EXPECT_EQ(Measure(false), 0);
}

INSTANTIATE_TEST_SUITE_P(Operations, CommQueueTest,
                         testing::ValuesIn(kCommOperations),
                         [](const auto& info) {
                           return CommOperationName(info.param) + "_" +
                                  ReductionName(info.param);
                         });

}  // namespace
}  // namespace subgen
