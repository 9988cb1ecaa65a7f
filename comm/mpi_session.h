// MPI from its start to its end in this process.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace subgen {

// True where mpirun or srun started this process (by their environment
// variables; MPI is not touched).
bool LaunchedByMpi();

// Calls MPI_Init_thread; its destructor calls MPI_Finalize. One a process, made
// first thing in main and destroyed after every communicator. MPI is asked for
// MPI_THREAD_SERIALIZED: any thread may call, one at a time.
//
// MPI_Finalize waits for the peers. A rank that ends alone, for whatever
// reason, calls AbortMpi instead.
class MpiSession {
 public:
  // An error where the MPI library cannot do that, or where srun started
  // several processes that do not know of one another.
  static absl::StatusOr<std::unique_ptr<MpiSession>> Start();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

 private:
  MpiSession() = default;
};

// Ends all ranks of the job, each with `code` (0 counts as 1). Works with MPI
// started or not, from any thread.
[[noreturn]] void AbortMpi(int code);

}  // namespace subgen
