// A session holds MPI from its start to its end in this process.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace subgen {

// Returns whether mpirun or srun started this process. It looks at their
// environment variables and does not touch MPI.
bool LaunchedByMpi();

// The constructor calls MPI_Init_thread, the destructor MPI_Finalize. A process
// has one session, made first in main and destroyed after every communicator.
// It asks MPI for MPI_THREAD_SERIALIZED: any thread may call, one at a time.
//
// MPI_Finalize waits for the peers. A rank that ends alone, for whatever
// reason, calls AbortMpi instead.
class MpiSession {
 public:
  // Returns an error if the MPI library cannot do that, or if srun started
  // several processes that do not know of one another.
  static absl::StatusOr<std::unique_ptr<MpiSession>> Start();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

 private:
  MpiSession() = default;
};

// Ends all ranks of the job, each with `code` (0 counts as 1). It works from
// any thread, whether MPI has started or not.
[[noreturn]] void AbortMpi(int code);

}  // namespace subgen
