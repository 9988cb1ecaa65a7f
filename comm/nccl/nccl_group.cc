#include "comm/nccl/nccl_group.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

// A wait looks at the stream, and once in so many looks also at NCCL's errors
// and at the clock.
constexpr int kLooks = 64;

std::string Who(const Communicator& ranks) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat("rank ", ranks.rank(), " of ", ranks.size(), " on ",
                      host);
}

absl::Status CudaStatus(cudaError_t error, const std::string& who,
                        const char* what) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "comm 'nccl': ", who, ": ", what, ": ", cudaGetErrorString(error)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<NcclGroup>> NcclGroup::Make(
    const NcclLibrary& nccl, const NcclOptions& options, const ncclUniqueId& id,
    Communicator& ranks) {
  std::unique_ptr<NcclGroup> group(new NcclGroup(nccl, options, Who(ranks)));
  // Agree before NCCL starts, as it would wait for a rank that cannot.
  RETURN_IF_ERROR(AgreeOnStatus(ranks, group->Allocate()));
  RETURN_IF_ERROR(AgreeOnStatus(ranks, group->Start(id, ranks)));
  return group;
}

absl::Status NcclGroup::Allocate() {
  RETURN_IF_ERROR(CudaStatus(cudaSetDevice(options_.device), who_, "device"));
  RETURN_IF_ERROR(
      CudaStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
                 who_, "stream"));
  const size_t bytes = 2 * kNcclPiece * sizeof(float);
  RETURN_IF_ERROR(CudaStatus(cuda::DeviceMemory::TryMake(bytes, &device_), who_,
                             "device memory for messages"));
  return CudaStatus(cuda::PinnedMemory::TryMake(bytes, &pinned_), who_,
                    "host memory for messages");
}

absl::Status NcclGroup::Start(const ncclUniqueId& id,
                              const Communicator& ranks) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const Clock::time_point start = Clock::now();
  const ncclResult_t result =
      nccl_.CommInitRankConfig(&comm_, ranks.size(), id, ranks.rank(), &config);
  const std::string cause = Settle(result, start);
  if (cause.empty()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("comm 'nccl': ", who_, ": NCCL does not start: ", cause));
}

int64_t NcclGroup::NextNumber() {
  static std::atomic<int64_t> next{0};
  return next++;
}

NcclGroup::~NcclGroup() {
  if (comm_ != nullptr) {
    // Finalize waits for what is on the stream, and nothing is.
    const std::string cause = Settle(nccl_.CommFinalize(comm_), Clock::now());
    cause.empty() ? nccl_.CommDestroy(comm_) : nccl_.CommAbort(comm_);
  }
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

bool NcclGroup::Late(Clock::time_point start) const {
  const std::chrono::duration<double> passed = Clock::now() - start;
  return options_.deadline_seconds > 0.0 &&
         passed.count() > options_.deadline_seconds;
}

std::string NcclGroup::Words(ncclResult_t result) const {
  std::string words = nccl_.GetErrorString(result);
  if (comm_ != nullptr) {
    const char* last = nccl_.GetLastError(comm_);
    if (last != nullptr && *last != '\0') absl::StrAppend(&words, ": ", last);
  }
  return words;
}

std::string NcclGroup::Settle(ncclResult_t result,
                              Clock::time_point start) const {
  while (result == ncclInProgress) {
    if (Late(start)) {
      return LateWords();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    const ncclResult_t asked = nccl_.CommGetAsyncError(comm_, &result);
    if (asked != ncclSuccess) return Words(asked);
  }
  return result == ncclSuccess ? "" : Words(result);
}

void NcclGroup::Fail(const std::string& what, const std::string& cause) {
  nccl_.CommAbort(comm_);
  comm_ = nullptr;
  Fatal(absl::StrCat(who_, ": NCCL ", what, ", call ", calls_, ": ", cause));
}

std::string NcclGroup::LateWords() const {
  return absl::StrCat("not done after ", options_.deadline_seconds,
                      " seconds; is a peer lost?");
}

ncclResult_t NcclGroup::Put(const Call& call, cudaStream_t stream) const {
  if (call.collective == Collective::kGather) {
    return nccl_.AllGather(call.in, call.out, call.numbers, ncclFloat, comm_,
                           stream);
  }
  const ncclRedOp_t op =
      call.collective == Collective::kSum ? ncclSum : ncclMax;
  return nccl_.AllReduce(call.in, call.out, call.numbers, ncclFloat, op, comm_,
                         stream);
}

void NcclGroup::Run(Collective collective, Vector<const float> in,
                    Vector<float> out) {
  using cuda::CheckCuda;
  if (queue_ != nullptr) queue_->Run();  // the order of calls is the ranks'
  ++calls_;
  const std::string what = absl::StrCat(
      collective == Collective::kGather ? "all-gather" : "all-reduce", " of ",
      in.size(), " numbers");
  CheckCuda(cudaSetDevice(options_.device), "device");
  float* const pinned = reinterpret_cast<float*>(pinned_.data());
  float* const device = reinterpret_cast<float*>(device_.data());
  std::copy(in.begin(), in.end(), pinned);
  CheckCuda(cudaMemcpyAsync(device, pinned, in.size_bytes(),
                            cudaMemcpyHostToDevice, stream_),
            "copy to the device");
  const Clock::time_point start = Clock::now();
  const Call call = {collective, device, device + kNcclPiece,
                     static_cast<int64_t>(in.size())};
  std::string cause = Settle(Put(call, stream_), start);
  if (!cause.empty()) Fail(what, cause);
  CheckCuda(cudaMemcpyAsync(pinned + kNcclPiece, device + kNcclPiece,
                            out.size_bytes(), cudaMemcpyDeviceToHost, stream_),
            "copy from the device");
  for (int look = 0;; ++look) {
    const cudaError_t error = cudaStreamQuery(stream_);
    if (error == cudaSuccess) break;
    if (error != cudaErrorNotReady) Fail(what, cudaGetErrorString(error));
    if (look % kLooks != kLooks - 1) continue;
    ncclResult_t state = ncclSuccess;
    nccl_.CommGetAsyncError(comm_, &state);
    if (state != ncclSuccess && state != ncclInProgress) {
      Fail(what, Words(state));
    }
    if (Late(start)) Fail(what, LateWords());
  }
  std::copy_n(pinned + kNcclPiece, out.size(), out.data());
}

void NcclGroup::AllReduce(Vector<float> data, ReduceOp op) {
  SUBGEN_CHECK(static_cast<int64_t>(data.size()) <= kNcclPiece);
  Run(op == ReduceOp::kSum ? Collective::kSum : Collective::kMax, data, data);
}

void NcclGroup::AllGather(Vector<const float> mine, Vector<float> all) {
  SUBGEN_CHECK(static_cast<int64_t>(all.size()) <= kNcclPiece);
  Run(Collective::kGather, mine, all);
}

}  // namespace subgen
