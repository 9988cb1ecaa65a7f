#include "launch/ranks/bring_up.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "comm/mpi_communicator.h"
#include "comm/mpi_session.h"
#include "comm/nccl/nccl_ranks.h"
#include "comm/thread_ranks.h"
#include "kernels/base/check.h"
#include "kernels/base/status_macros.h"
#include "launch/ranks/output.h"

namespace subgen {
namespace {

void PrintError(const std::string& message) {
  std::fflush(stdout);
  std::fprintf(stderr, "subgen: %s\n", message.c_str());
}

// Says of an exception that nobody caught, in whichever thread, what this
// machine refused.
[[noreturn]] void EndByException() {
  std::string message = "an unknown exception";
  try {
    if (std::current_exception())
      std::rethrow_exception(std::current_exception());
  } catch (const std::bad_alloc&) {
    OutOfMemory(-1);
  } catch (const std::system_error& error) {
    message = error.what();
    if (error.code() == std::errc::resource_unavailable_try_again) {
      message =
          "no more threads may be started: lower `threads` or raise the "
          "limit of processes (ulimit -u)";
    }
  } catch (const std::exception& error) {
    message = error.what();
  }
  Fatal(message);
}

// A rank that returns has the same status as all others, so one of them says
// it. Only the rank that wrote knows what could not be written.
int Report(absl::Status status, int rank) {
  if (status.ok()) status = OutputStatus();
  if (status.ok()) return 0;
  if (rank == 0) PrintError(std::string(status.message()));
  return 1;
}

bool SharesDevice(const RanksConfig& ranks) { return ranks.device == "shared"; }

// Makes the world of ranks that MPI started, over NCCL if that is asked for.
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
  PrepareStandardStreams();
  SetFatalHandler([](const std::string& message) {
    PrintError(message);
    std::_Exit(1);
  });
  std::set_terminate(EndByException);
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
