#include "comm/mpi_communicator.h"

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace subgen {
namespace {

using std::chrono::microseconds;

void CheckMpi(int code, absl::string_view call) {
  if (code == MPI_SUCCESS) [[likely]]
    return;
  char words[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, words, &length);
  int rank = -1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  Fatal(absl::StrCat("rank ", rank, ": ", call, ": ", words));
}

// MPI counts in int.
int MpiCount(int64_t count) {
  SUBGEN_CHECK(count <= std::numeric_limits<int>::max(), count,
               " elements in one MPI call");
  return static_cast<int>(count);
}

// Waits for a request without keeping a core busy for long.
void WaitAsleep(MPI_Request* request) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point spin_until = Clock::now() + microseconds(50);
  microseconds pause(10);
  for (;;) {
    int done = 0;
    CheckMpi(MPI_Test(request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done) return;
    if (Clock::now() < spin_until) continue;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, microseconds(1000));
  }
}

class MpiCommunicator : public Communicator {
 public:
  // Takes over `group`.
  explicit MpiCommunicator(MPI_Comm group) : group_(group) {
    CheckMpi(MPI_Comm_set_errhandler(group_, MPI_ERRORS_RETURN),
             "MPI_Comm_set_errhandler");
    CheckMpi(MPI_Comm_rank(group_, &rank_), "MPI_Comm_rank");
    CheckMpi(MPI_Comm_size(group_, &size_), "MPI_Comm_size");
  }
  ~MpiCommunicator() override {
    int finished = 0;
    MPI_Finalized(&finished);
    if (!finished) MPI_Comm_free(&group_);
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Communicator> Split(int color) override {
    SUBGEN_CHECK(color >= 0, "color ", color);
    MPI_Comm part = MPI_COMM_NULL;
    CheckMpi(MPI_Comm_split(group_, color, rank_, &part), "MPI_Comm_split");
    return std::make_unique<MpiCommunicator>(part);
  }

 protected:
  void DoAllReduce(Vector<float> data, ReduceOp op) override {
    CheckMpi(MPI_Allreduce(MPI_IN_PLACE, data.data(), MpiCount(data.size()),
                           MPI_FLOAT, op == ReduceOp::kSum ? MPI_SUM : MPI_MAX,
                           group_),
             "MPI_Allreduce");
  }

  void DoAllGather(Vector<const float> mine, Vector<const int> counts,
                   Vector<float> all) override {
    MpiCount(all.size());  // so that no offset overflows
    offsets_.resize(size_);
    for (int i = 1; i < size_; ++i) {
      offsets_[i] = offsets_[i - 1] + counts[i - 1];
    }
    CheckMpi(MPI_Allgatherv(mine.data(), counts[rank_], MPI_FLOAT, all.data(),
                            counts.data(), offsets_.data(), MPI_FLOAT, group_),
             "MPI_Allgatherv");
  }

  void DoBroadcast(Vector<std::byte> data, int root) override {
    MPI_Request request = MPI_REQUEST_NULL;
    CheckMpi(MPI_Ibcast(data.data(), MpiCount(data.size()), MPI_BYTE, root,
                        group_, &request),
             "MPI_Ibcast");
    WaitAsleep(&request);
  }

 private:
  MPI_Comm group_;
  int rank_ = 0;
  int size_ = 1;
  std::vector<int> offsets_;  // of an all-gather; offsets_[0] stays 0
};

bool IsLive() {
  int started = 0;
  int finished = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&finished);
  return started && !finished;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> MakeMpiRanks() {
  if (!IsLive()) {
    return absl::FailedPreconditionError(
        "MPI is not started: MpiSession::Start comes first");
  }
  CheckMpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
           "MPI_Comm_set_errhandler");
  MPI_Comm group = MPI_COMM_NULL;
  CheckMpi(MPI_Comm_dup(MPI_COMM_WORLD, &group), "MPI_Comm_dup");
  return std::make_unique<MpiCommunicator>(group);
}

HostPlacement MpiPlacement() {
  SUBGEN_CHECK(IsLive());
  char host[MPI_MAX_PROCESSOR_NAME] = "";
  int length = 0;
  CheckMpi(MPI_Get_processor_name(host, &length), "MPI_Get_processor_name");
  MPI_Comm local = MPI_COMM_NULL;
  CheckMpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0,
                               MPI_INFO_NULL, &local),
           "MPI_Comm_split_type");
  const MpiCommunicator ranks(local);
  int rank = 0;
  CheckMpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  return {std::string(host, length), ranks.rank(), ranks.size(), rank};
}

}  // namespace subgen
