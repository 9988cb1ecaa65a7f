// These run subgen_bench_decode on ranks that talk on the queues of their
// devices.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "comm/nccl/nccl_ranks.h"
#include "comm/thread_ranks.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/decode_bench.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

constexpr int kRanks = 3, kTokens = 12;

absl::Status RunRank(const DecodeBenchOptions& shared,
                     std::unique_ptr<Communicator> bootstrap,
                     std::vector<TestResult>* rows) {
  NcclOptions nccl;
  nccl.library = SUBGEN_FAKE_NCCL;
  nccl.device = bootstrap->rank();
  nccl.deadline_seconds = 60.0;
  DecodeBenchOptions options = shared;
  options.device = bootstrap->rank();
  ASSIGN_OR_RETURN(auto world, MakeNcclRanks(std::move(bootstrap), nccl));
  ASSIGN_OR_RETURN(const Model model, LoadModel(options.policies[0].config));
  return RunDecodeBench(options, model, *world,
                        [&](const TestResult& row) { rows->push_back(row); });
}

// The collectives of the repetition in parts are waited for one by one, those
// of the others only as steps.
TEST(DecodePartsTest, CollectivesAreTimedInTheRepetitionOfParts) {
  emulation::SetEmulatedDevices(kRanks);
  BenchPolicy policy;
  policy.config.model = WriteToyModel({}, "bench_parts");
  policy.config.backend = "cuda";
  policy.config.step_deadline_seconds = 0.0;
  DecodeBenchOptions options;
  options.policies = {policy};
  options.generations = {kTokens};
  options.depths = {0};
  options.repetitions = 1;
  options.on_fill = [](int64_t, int64_t) {};
  emulation::Counts before, after;
  options.before_repetition = [&](const std::string&, const std::string&) {
    before = emulation::CountsSoFar();
  };
  options.after_repetition = [&](double) { after = emulation::CountsSoFar(); };
  std::vector<TestResult> rows;
  const absl::Status status =
      RunThreadRanks(kRanks, [&](std::unique_ptr<Communicator> bootstrap) {
        return RunRank(options, std::move(bootstrap), &rows);
      });
  const emulation::Counts end = emulation::CountsSoFar();
  emulation::SetEmulatedDevices(1);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(rows.size(), 1u);
  ASSERT_EQ(rows[0].laps.size(), 1u);
  EXPECT_GT(rows[0].laps[0].communication, 0.0);
  EXPECT_GT(rows[0].laps[0].attention, 0.0);
  // A measured step has one upload per rank, with those of Forget; a step in
  // parts has one for each part that stages operands, at least attention, the
  // update of the cache and what follows it in each of the two layers.
  EXPECT_LE(after.copies_to_device - before.copies_to_device,
            kRanks * (kTokens + 2));
  EXPECT_GE(end.copies_to_device - after.copies_to_device,
            kRanks * kTokens * 2 * 3);
}

}  // namespace
}  // namespace subgen
