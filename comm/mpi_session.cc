#include "comm/mpi_session.h"

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace subgen {
namespace {

bool IsSet(const char* name) { return std::getenv(name) != nullptr; }

// Returns the number of tasks of an srun step, and 1 outside of one.
int SlurmTasks() {
  const char* text = std::getenv("SLURM_STEP_NUM_TASKS");
  int tasks = 1;
  if (text == nullptr || !absl::SimpleAtoi(text, &tasks)) return 1;
  return tasks;
}

bool HasProcessManager() {
  return IsSet("OMPI_COMM_WORLD_SIZE") || IsSet("PMIX_RANK") ||
         IsSet("PMI_RANK") || IsSet("PMI_SIZE");
}

}  // namespace

bool LaunchedByMpi() { return HasProcessManager() || SlurmTasks() > 1; }

absl::StatusOr<std::unique_ptr<MpiSession>> MpiSession::Start() {
  int started = 0;
  MPI_Initialized(&started);
  if (started) {
    return absl::FailedPreconditionError(
        "MPI is already started in this process: a session is made once");
  }
  if (SlurmTasks() > 1 && !HasProcessManager()) {
    return absl::FailedPreconditionError(
        absl::StrCat("srun started ", SlurmTasks(),
                     " processes that MPI does not join: use srun --mpi=pmix "
                     "(srun --mpi=list shows what there is) or mpirun"));
  }
  int provided = MPI_THREAD_SINGLE;
  const int code =
      MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  if (code != MPI_SUCCESS) {
    return absl::UnavailableError(
        absl::StrCat("MPI_Init_thread failed with code ", code));
  }
  std::unique_ptr<MpiSession> session(new MpiSession);
  if (provided < MPI_THREAD_SERIALIZED) {
    return absl::UnimplementedError(absl::StrCat(
        "this MPI library offers thread level ", provided,
        "; MPI_THREAD_SERIALIZED (", MPI_THREAD_SERIALIZED, ") is needed"));
  }
  return session;
}

MpiSession::~MpiSession() { MPI_Finalize(); }

void AbortMpi(int code) {
  if (code == 0) code = 1;
  int started = 0;
  int finished = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&finished);
  if (started && !finished) MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

}  // namespace subgen
