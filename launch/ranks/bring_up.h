// Ranks are brought up and taken down again, the same way for every program.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "comm/communicator.h"
#include "engine/config/engine_config.h"

namespace subgen {

// A rank's body is given this.
struct RankContext {
  std::unique_ptr<Communicator> world;
  int ranks_on_host = 1;
  int device = 0;  // of this host, for cuda
};
using RankMain = std::function<absl::Status(RankContext)>;

// Runs the body on every rank and returns the exit code of this process: 0, or
// 1 after one line on standard error, from one rank only. config.comm says what
// the ranks are: none; threads (config.ranks.count of them in this process);
// mpi; nccl (over MPI); auto (mpi if mpirun or srun started the process, else
// none). A bug or a lost peer ends the whole job.
int RunRanks(const EngineConfig& config, const RankMain& body);

// Returns the threads of one rank: `configured`, or this host's cores shared
// out over its ranks, or the cores that the launcher bound this rank to.
int ThreadsOfRank(int configured, int ranks_on_host);

}  // namespace subgen
