// Ranks are processes that mpirun or srun started.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace subgen {

// Makes the communicator of all ranks of the job. It needs a live MpiSession
// and dies before it. Collective.
//
// Data collectives block in MPI. Broadcast polls: it spins for 50 us and then
// sleeps for up to 1 ms at a time, so that a rank which waits for a person to
// type costs no core. An MPI error is fatal, with MPI's own words.
absl::StatusOr<std::unique_ptr<Communicator>> MakeMpiRanks();

// This says where a rank runs, so that the cores of a host can be shared out.
struct HostPlacement {
  std::string host;
  int local_rank = 0;  // among the job's ranks on this host
  int local_size = 1;
  int rank = 0;  // of the job
};

// Finds where this rank runs. It needs a live MpiSession. Collective over all
// ranks of the job.
HostPlacement MpiPlacement();

}  // namespace subgen
