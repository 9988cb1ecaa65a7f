#include "launch/bring_up.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "comm/mpi_communicator.h"
#include "comm/mpi_session.h"
#include "comm/thread_ranks.h"
#include "kernels/base/check.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

void PrintError(const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "subgen: %s\n", message.c_str());
}

// A rank that returns has the same status as all others: one of them says it.
int Report(const absl::Status& status, int rank) {
  if (status.ok()) return 0;
  if (rank == 0) PrintError(std::string(status.message()));
  return 1;
}

int RunMpi(const RankMain& body) {
  auto session = MpiSession::Start();
  if (!session.ok()) return Report(session.status(), 0);
  SetFatalHandler([](const std::string& message) {
    PrintError(message);
    AbortMpi(1);
  });
  auto world = MakeMpiRanks();
  if (!world.ok()) return Report(world.status(), 0);
  const int rank = (*world)->rank();
  const int ranks_on_host = MpiPlacement().local_size;
  return Report(body({*std::move(world), ranks_on_host}), rank);
}

int RunThreads(int ranks, const RankMain& body) {
  const absl::Status status =
      RunThreadRanks(ranks, [&](std::unique_ptr<Communicator> world) {
        return body({std::move(world), ranks});
      });
  return Report(status, 0);
}

}  // namespace

int RunRanks(const std::string& comm, int thread_ranks, const RankMain& body) {
  SetFatalHandler([](const std::string& message) {
    PrintError(message);
    std::_Exit(1);
  });
  if (comm == "mpi" || (comm == "auto" && LaunchedByMpi())) return RunMpi(body);
  if (comm == "threads") return RunThreads(thread_ranks, body);
  return Report(body({MakeSingleRank(), 1}), 0);
}

int ThreadsOfRank(int configured, int ranks_on_host) {
  if (configured > 0) return configured;
  const int cores =
      std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  cpu_set_t bound;
  CPU_ZERO(&bound);
  if (sched_getaffinity(0, sizeof(bound), &bound) == 0 &&
      CPU_COUNT(&bound) < cores) {
    return std::max(1, CPU_COUNT(&bound));
  }
  return std::max(1, cores / ranks_on_host);
}

}  // namespace subgen
