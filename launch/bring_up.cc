#include "launch/bring_up.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "comm/mpi_communicator.h"
#include "comm/mpi_session.h"
#include "comm/nccl/nccl_ranks.h"
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

bool SharesDevice(const RanksConfig& ranks) { return ranks.device == "shared"; }

// The world of ranks that MPI started, over NCCL where that is asked for.
absl::StatusOr<std::unique_ptr<Communicator>> MakeWorld(
    const EngineConfig& config, int device) {
  ASSIGN_OR_RETURN(auto world, MakeMpiRanks());
  if (config.comm != "nccl") return world;
  NcclOptions options;
  options.device = device;
  options.share_device = SharesDevice(config.ranks);
  options.deadline_seconds = config.step_deadline_seconds;
  return MakeNcclRanks(std::move(world), options);
}

int RunMpi(const EngineConfig& config, const RankMain& body) {
  auto session = MpiSession::Start();
  if (!session.ok()) return Report(session.status(), 0);
  SetFatalHandler([](const std::string& message) {
    PrintError(message);
    AbortMpi(1);
  });
  const HostPlacement place = MpiPlacement();
  const int device = SharesDevice(config.ranks) ? 0 : place.local_rank;
  auto world = MakeWorld(config, device);
  if (!world.ok()) return Report(world.status(), place.rank);
  const int rank = (*world)->rank();
  return Report(body({*std::move(world), place.local_size, device}), rank);
}

int RunThreads(const RanksConfig& config, const RankMain& body) {
  const int ranks = config.count;
  const absl::Status status =
      RunThreadRanks(ranks, [&](std::unique_ptr<Communicator> world) {
        const int device = SharesDevice(config) ? 0 : world->rank();
        return body({std::move(world), ranks, device});
      });
  return Report(status, 0);
}

}  // namespace

int RunRanks(const EngineConfig& config, const RankMain& body) {
  const std::string& comm = config.comm;
  SetFatalHandler([](const std::string& message) {
    PrintError(message);
    std::_Exit(1);
  });
  if (comm == "mpi" || comm == "nccl" || (comm == "auto" && LaunchedByMpi())) {
    return RunMpi(config, body);
  }
  if (comm == "threads") return RunThreads(config.ranks, body);
  return Report(body({MakeSingleRank(), 1, 0}), 0);
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
