// This is one MPI rank of the tests in mpi_ranks_test.cc, which starts it by
// mpirun. It exits with 0 when its checks hold; the argument says what to do.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "comm/mpi_communicator.h"
#include "comm/mpi_session.h"
#include "comm/partial_merge.h"
#include "comm/step_deadline.h"
#include "kernels/base/status_macros.h"
#include "tests/comm/collective_checks.h"

namespace subgen {
namespace {

// Returns the CPU time of this process, in seconds.
double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return t.tv_sec + 1e-6 * t.tv_usec;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// A follower that waits 2 s for a broadcast uses under a tenth of a core.
absl::Status CheckIdleWait(Communicator& ranks) {
  const double before = CpuSeconds();
  if (ranks.rank() == 0) std::this_thread::sleep_for(std::chrono::seconds(2));
  const std::string text = BroadcastString(ranks, "typed", 0);
  const double spent = CpuSeconds() - before;
  if (text != "typed" || spent > 0.2) {
    return absl::InternalError(absl::StrCat(text, ", ", spent, " s of CPU"));
  }
  return absl::OkStatus();
}

// There are two rows: rank 0 has both, the others only the second.
absl::Status CheckMerge(Communicator& ranks, MergeMethod method) {
  PartialsBuffer partials(2, 1);
  const SoftmaxPartials view = partials.Resize(2);
  SetEmpty(view);
  for (int i = ranks.rank() == 0 ? 0 : 1; i < 2; ++i) {
    view.max_logit[i] = 3.0f;
    view.partition[i] = 2.0f;
    view.weighted.row(i)[0] = ranks.rank();
  }
  PartialMerger(ranks, method, 2, 1).Merge(partials);
  const int n = ranks.size();
  const std::vector<float> want{3.0f,     3.0f, 2.0f,
                                2.0f * n, 0.0f, n * (n - 1) / 2.0f};
  const Vector<float> got = partials.packed();
  if (!std::equal(got.begin(), got.end(), want.begin())) {
    return absl::InternalError(
        absl::StrCat("merge by ", MergeMethodName(method)));
  }
  return absl::OkStatus();
}

absl::Status Check(Communicator& ranks, int expected_size) {
  if (!LaunchedByMpi() || ranks.size() != expected_size) {
    return absl::InternalError(absl::StrCat(ranks.size(), " ranks"));
  }
  const HostPlacement placement = MpiPlacement();
  if (placement.host.empty() || placement.local_rank != ranks.rank() ||
      placement.local_size != ranks.size()) {
    return absl::InternalError(absl::StrCat("placement ", placement.host, " ",
                                            placement.local_rank, " ",
                                            placement.local_size));
  }
  RETURN_IF_ERROR(CheckCollectives(ranks));
  RETURN_IF_ERROR(CheckSplits(ranks));
  RETURN_IF_ERROR(CheckMerge(ranks, MergeMethod::kAllReduce));
  RETURN_IF_ERROR(CheckMerge(ranks, MergeMethod::kAllGather));
  return CheckIdleWait(ranks);
}

// Rank 1 ends in the way that `how` names.
void End(const std::string& how) {
  if (how == "abort") AbortMpi(42);
  if (how == "fatal") Fatal("a check failed");
  if (how == "kill") std::raise(SIGKILL);
  if (how == "crash") std::raise(SIGSEGV);
  if (how == "exit") std::_Exit(0);
  std::this_thread::sleep_for(std::chrono::hours(1));  // hang
}

// The others wait for it: in a broadcast where `how` is abort, else in an
// all-reduce.
void EndAlone(Communicator& ranks, const std::string& how) {
  StepDeadline deadline(how == "hang" ? 0.5 : 0.0,
                        absl::StrCat("rank ", ranks.rank()));
  std::vector<float> data(1);
  ranks.AllReduce(data, ReduceOp::kSum);
  if (ranks.rank() == 1) End(how);
  deadline.Arm("step 7");
  if (how == "abort") BroadcastString(ranks, "", 1);
  ranks.AllReduce(data, ReduceOp::kSum);
}

// Ranks pass different sizes, which MPI finds.
void Mismatch(Communicator& ranks) {
  std::vector<std::byte> data(ranks.rank() == 0 ? 64 : 32);
  ranks.Broadcast(data, 0);
  std::this_thread::sleep_for(std::chrono::hours(1));
}

int Run(const std::string& what) {
  SetFatalHandler([](const std::string& message) {
    std::fprintf(stderr, "fatal: %s\n", message.c_str());
    AbortMpi(70);
  });
  const auto session = MpiSession::Start();
  if (!session.ok()) return 2;
  const auto ranks = MakeMpiRanks();
  if (!ranks.ok()) return 3;
  if (what == "mismatch") Mismatch(**ranks);
  if (what != "check") {
    EndAlone(**ranks, what);
    return 0;
  }
  const absl::Status status = Check(**ranks, 2);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  AbortMpi(4);
}

}  // namespace
}  // namespace subgen

int main(int count, char** arguments) {
  return subgen::Run(count == 2 ? arguments[1] : "check");
}
