// These test the NCCL communicator over an emulated NCCL and CUDA runtime:
// ranks are threads. What they cannot show is NCCL itself.
#include "comm/nccl/nccl_ranks.h"

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "comm/thread_ranks.h"
#include "kernels/base/status_macros.h"
#include "tests/comm/collective_checks.h"

namespace subgen {
namespace {

using ::testing::HasSubstr;

NcclOptions OptionsOf(const Communicator& ranks) {
  NcclOptions options;
  options.library = SUBGEN_FAKE_NCCL;
  options.device = ranks.rank();
  options.deadline_seconds = 20.0;
  return options;
}

class NcclRanksTest : public testing::Test {
 protected:
  ~NcclRanksTest() override {
    emulation::SetEmulatedDevices(1);
    unsetenv("SUBGEN_FAKE_NCCL");
  }

  using Body = std::function<absl::Status(Communicator&)>;
  using Change = std::function<void(int rank, NcclOptions*)>;
  // Runs on `ranks` ranks, each with a device of its own if there are so many.
  absl::Status Run(int ranks, const Body& body, const Change& change = {}) {
    return RunThreadRanks(ranks, [&](auto bootstrap) -> absl::Status {
      NcclOptions options = OptionsOf(*bootstrap);
      if (change) change(bootstrap->rank(), &options);
      ASSIGN_OR_RETURN(auto nccl, MakeNcclRanks(std::move(bootstrap), options));
      return body(*nccl);
    });
  }
  static absl::Status Sum(Communicator& ranks) {
    std::vector<float> data(3, 1.0f);
    ranks.AllReduce(data, ReduceOp::kSum);
    return data[0] == ranks.size() ? absl::OkStatus()
                                   : absl::InternalError("a wrong sum");
  }
};

TEST_F(NcclRanksTest, Collectives) {
  for (const char* fault : {"", "slow"}) {
    setenv("SUBGEN_FAKE_NCCL", fault, 1);
    for (int ranks = 1; ranks <= 4; ++ranks) {
      emulation::SetEmulatedDevices(ranks);
      EXPECT_EQ(Run(ranks, CheckCollectives), absl::OkStatus()) << ranks;
      EXPECT_EQ(Run(ranks, CheckSplits), absl::OkStatus()) << ranks;
    }
  }
}

// More is sent than goes through the device at once, in both collectives.
TEST_F(NcclRanksTest, LongMessagesGoInPieces) {
  emulation::SetEmulatedDevices(2);
  constexpr int kLong = (1 << 22) + 5;
  const auto body = [](Communicator& ranks) -> absl::Status {
    std::vector<float> data(kLong);
    for (int i = 0; i < kLong; ++i) data[i] = i % 1000 + ranks.rank();
    std::vector<float> sum = data, all(kLong + 3);
    ranks.AllReduce(sum, ReduceOp::kSum);
    const std::vector<int> counts = {kLong, 3};
    ranks.AllGather(Vector<const float>(data).first(counts[ranks.rank()]),
                    counts, all);
    for (int i = 0; i < kLong; ++i) {
      if (sum[i] != 2 * (i % 1000) + 1 || all[i] != i % 1000) {
        return absl::InternalError(absl::StrCat("number ", i));
      }
    }
    return all[kLong + 2] == 3 ? absl::OkStatus()
                               : absl::InternalError("the last");
  };
  EXPECT_EQ(Run(2, body), absl::OkStatus());
}

TEST_F(NcclRanksTest, NoDeviceIsRefusedOnAllRanks) {
  emulation::SetEmulatedDevices(0);
  EXPECT_THAT(Run(2, Sum).message(), HasSubstr("no GPU to use"));
  emulation::SetEmulatedDevices(1);
  EXPECT_THAT(Run(2, Sum).message(), HasSubstr("there is no device 1"));
}

TEST_F(NcclRanksTest, OneDeviceForTwoRanksIsRefusedUnlessAsked) {
  const auto same = [](int, NcclOptions* options) { options->device = 0; };
  EXPECT_THAT(Run(3, Sum, same).message(),
              HasSubstr("have the same device 0: start no more ranks"));
  const auto shared = [](int, NcclOptions* options) {
    options->device = 0;
    options->share_device = true;
  };
  EXPECT_EQ(Run(3, Sum, shared), absl::OkStatus());
}

TEST_F(NcclRanksTest, OtherVersionsAreRefused) {
  emulation::SetEmulatedDevices(2);
  setenv("SUBGEN_FAKE_NCCL", "version", 1);
  EXPECT_THAT(Run(2, Sum).message(), HasSubstr("NCCL 2.28."));
}

TEST_F(NcclRanksTest, AnAbsentLibraryIsNamed) {
  emulation::SetEmulatedDevices(2);
  const auto absent = [](int rank, NcclOptions* options) {
    if (rank == 1) options->library = "libnot_there.so.2";
  };
  EXPECT_THAT(Run(2, Sum, absent).message(), HasSubstr("libnot_there.so.2"));
}

TEST_F(NcclRanksTest, AStartThatHangsEndsAtTheDeadline) {
  emulation::SetEmulatedDevices(2);
  setenv("SUBGEN_FAKE_NCCL", "stuck", 1);
  const auto soon = [](int, NcclOptions* options) {
    options->deadline_seconds = 0.2;
  };
  EXPECT_THAT(Run(2, Sum, soon).message(),
              HasSubstr("NCCL does not start: not done after 0.2 seconds"));
}

using NcclRanksDeathTest = NcclRanksTest;

TEST_F(NcclRanksDeathTest, AFaultInMidStepEndsTheJob) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fault = [&](const char* name) {
    emulation::SetEmulatedDevices(2);
    setenv("SUBGEN_FAKE_NCCL", name, 1);
    (void)Run(2, Sum, [](int, NcclOptions* options) {
      options->deadline_seconds = 0.2;
    });
  };
  EXPECT_DEATH(fault("error"),
               "rank . of 2 on .*: NCCL all-reduce of 3 numbers, call 1: "
               "remote process exited: connection closed");
  EXPECT_DEATH(fault("stuck_collective"), "is a peer lost");
}

}  // namespace
}  // namespace subgen
