// See README.md. Collectives run when they are called, at once for all ranks.
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

bool Fault(const std::string& name) {
  const char* fault = std::getenv("SUBGEN_FAKE_NCCL");
  return fault != nullptr && name == fault;
}

struct Group {
  explicit Group(int size) : inputs(size) {}
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::vector<float>> inputs;
  int arrived = 0, left = 0;
};

std::mutex groups_mutex;
std::map<std::string, std::shared_ptr<Group>> groups;
std::atomic<int> next_id{1}, version_calls{0};

// Returns all ranks' inputs, in rank order.
std::vector<std::vector<float>> Exchange(Group& group, int rank,
                                         std::vector<float> mine) {
  std::unique_lock lock(group.mutex);
  const int size = static_cast<int>(group.inputs.size());
  group.changed.wait(lock, [&] { return group.left == 0; });
  group.inputs[rank] = std::move(mine);
  if (++group.arrived == size) group.changed.notify_all();
  group.changed.wait(lock, [&] { return group.arrived == size; });
  auto all = group.inputs;
  if (++group.left == size) {
    group.arrived = group.left = 0;
    group.changed.notify_all();
  } else {
    group.changed.wait(lock, [&] { return group.left == 0; });
  }
  return all;
}

}  // namespace

struct ncclComm {
  std::shared_ptr<Group> group;
  int rank = 0;
  int busy = 0;  // looks until what is in progress is done
  bool stuck = false, failed = false;
};

namespace {

std::vector<float> FromDevice(const void* from, size_t count) {
  const subgen::emulation::DeviceMemoryOpen open;
  const float* const numbers = static_cast<const float*>(from);
  return {numbers, numbers + count};
}
void ToDevice(const std::vector<float>& numbers, void* to) {
  const subgen::emulation::DeviceMemoryOpen open;
  std::copy(numbers.begin(), numbers.end(), static_cast<float*>(to));
}
void Enqueue(cudaStream_t stream, std::function<void()> collective) {
  subgen::emulation::Enqueue(stream, subgen::emulation::Work::kCollective,
                             std::move(collective));
}

ncclResult_t Begun(ncclComm_t comm) {
  comm->busy = Fault("slow") ? 5 : 0;
  return comm->busy > 0 || comm->stuck ? ncclInProgress : ncclSuccess;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = 22809 + (Fault("version") ? version_calls++ : 0);
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::memset(id, 0, sizeof(*id));
  const std::string name = std::to_string(next_id++);
  std::copy(name.begin(), name.end(), id->internal);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id,
                                    int rank, ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidArgument;
  *comm = new ncclComm;
  {
    const std::lock_guard lock(groups_mutex);
    auto& group = groups[id.internal];
    if (group == nullptr) group = std::make_shared<Group>(size);
    (*comm)->group = group;
  }
  (*comm)->rank = rank;
  (*comm)->stuck = Fault("stuck");
  return Begun(*comm);
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  *state = comm->failed                      ? ncclRemoteError
           : comm->stuck || comm->busy-- > 0 ? ncclInProgress
                                             : ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) { return Begun(comm); }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t) { return "remote process exited"; }
const char* ncclGetLastError(ncclComm_t) { return "connection closed"; }

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count,
                           ncclDataType_t, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream) {
  comm->failed = Fault("error");
  comm->stuck = Fault("stuck_collective");
  if (comm->failed || comm->stuck) return ncclInProgress;
  Enqueue(stream, [=, group = comm->group, rank = comm->rank] {
    const auto all = Exchange(*group, rank, FromDevice(from, count));
    std::vector<float> result = all[0];
    for (size_t rank = 1; rank < all.size(); ++rank) {
      for (size_t i = 0; i < count; ++i) {
        result[i] = op == ncclSum ? result[i] + all[rank][i]
                                  : std::max(result[i], all[rank][i]);
      }
    }
    ToDevice(result, to);
  });
  return Begun(comm);
}
ncclResult_t ncclAllGather(const void* from, void* to, size_t count,
                           ncclDataType_t, ncclComm_t comm,
                           cudaStream_t stream) {
  Enqueue(stream, [=, group = comm->group, rank = comm->rank] {
    const auto all = Exchange(*group, rank, FromDevice(from, count));
    for (size_t rank = 0; rank < all.size(); ++rank) {
      ToDevice(all[rank], static_cast<float*>(to) + rank * count);
    }
  });
  return Begun(comm);
}

}  // extern "C"
