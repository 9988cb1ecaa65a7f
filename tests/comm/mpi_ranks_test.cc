// These run real mpirun with two ranks: they test the collectives, and that the
// death of one rank ends the job, soon and with an error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "comm/mpi_communicator.h"
#include "comm/mpi_session.h"

namespace subgen {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Ended {
  int code = -1;
  double seconds = 0.0;
  std::string output;  // both streams
};

// Open MPI refuses root, and more ranks than cores, unless told; containers may
// forbid its way of copying between processes. Its own leaks are not ours.
constexpr char kEnvironment[] =
    "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
    "OMPI_MCA_rmaps_base_oversubscribe=1 "
    "OMPI_MCA_btl_vader_single_copy_mechanism=none "
    "ASAN_OPTIONS=detect_leaks=0 "
    "TSAN_OPTIONS=ignore_noninstrumented_modules=1 ";

Ended RunTwoRanks(const std::string& what) {
  const auto start = std::chrono::steady_clock::now();
  FILE* pipe = popen(absl::StrCat(kEnvironment, "timeout 60 mpirun -n 2 '",
                                  SUBGEN_MPI_RANKS, "' ", what, " 2>&1")
                         .c_str(),
                     "r");
  Ended ended;
  std::array<char, 4096> block;
  while (const size_t n = std::fread(block.data(), 1, block.size(), pipe)) {
    ended.output.append(block.data(), n);
  }
  ended.code = WEXITSTATUS(pclose(pipe));
  const std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  ended.seconds = spent.count();
  return ended;
}

TEST(MpiRanks, CollectivesSplitsMergeAndIdleWait) {
  const Ended ended = RunTwoRanks("check");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, IsEmpty());
}

// 124 is timeout's own.
void ExpectEndedSoon(const Ended& ended) {
  EXPECT_NE(ended.code, 0) << ended.output;
  EXPECT_NE(ended.code, 124) << ended.output;
  EXPECT_LT(ended.seconds, 30.0);
}

TEST(MpiRanks, AbortEndsAllRanksWithItsCode) {
  const Ended ended = RunTwoRanks("abort");
  ExpectEndedSoon(ended);
  EXPECT_EQ(ended.code, 42);
}

TEST(MpiRanks, AFatalErrorEndsAllRanks) {
  const Ended ended = RunTwoRanks("fatal");
  ExpectEndedSoon(ended);
  EXPECT_THAT(ended.output, HasSubstr("fatal: a check failed"));
}

TEST(MpiRanks, AKilledRankEndsAllRanks) {
  ExpectEndedSoon(RunTwoRanks("kill"));
}

TEST(MpiRanks, ACrashedRankEndsAllRanks) {
  ExpectEndedSoon(RunTwoRanks("crash"));
}

TEST(MpiRanks, ARankThatExitsAloneEndsAllRanks) {
  ExpectEndedSoon(RunTwoRanks("exit"));
}

TEST(MpiRanks, AHangingRankIsFoundByTheDeadline) {
  const Ended ended = RunTwoRanks("hang");
  ExpectEndedSoon(ended);
  EXPECT_THAT(ended.output, HasSubstr("rank 0: step 7 exceeded 0.5 s"));
}

TEST(MpiRanks, AnMpiErrorIsFatalInItsOwnWords) {
  const Ended ended = RunTwoRanks("mismatch");
  ExpectEndedSoon(ended);
  EXPECT_THAT(ended.output, HasSubstr("MPI_ERR_TRUNCATE"));
}

TEST(MpiSession, RanksWithoutASessionAreAnError) {
  EXPECT_THAT(std::string(MakeMpiRanks().status().message()),
              HasSubstr("MpiSession::Start comes first"));
}

TEST(LaunchedByMpi, LooksAtTheLaunchersVariables) {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK",
                           "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    unsetenv(name);
  }
  EXPECT_FALSE(LaunchedByMpi());
  setenv("SLURM_STEP_NUM_TASKS", "1", 1);  // a batch script
  EXPECT_FALSE(LaunchedByMpi());
  setenv("SLURM_STEP_NUM_TASKS", "4", 1);
  EXPECT_TRUE(LaunchedByMpi());
  EXPECT_THAT(std::string(MpiSession::Start().status().message()),
              HasSubstr("srun started 4 processes that MPI does not join"));
  unsetenv("SLURM_STEP_NUM_TASKS");
  for (const char* name :
       {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"}) {
    setenv(name, "0", 1);
    EXPECT_TRUE(LaunchedByMpi()) << name;
    unsetenv(name);
  }
}

}  // namespace
}  // namespace subgen
