#include "kernels/cuda/runtime/queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace subgen::cuda {
namespace {

constexpr size_t kMostStaged = size_t{64} << 20;
// This is more than a step of the largest models has, as a step is to be one
// graph.
constexpr int64_t kMostCommands = 4096;
// A wait asks the watchers once in so many looks at the stream.
constexpr int kLooks = 64;

void AppendCopy(CommandList* list, void* to, const void* from, size_t bytes,
                cudaMemcpyKind kind) {
  const PutCommand put = [](const std::byte* at, cudaStream_t stream) {
    void* const to = TakeValue<void*>(&at);
    const void* const from = TakeValue<const void*>(&at);
    const size_t bytes = TakeValue<size_t>(&at);
    const auto kind = static_cast<cudaMemcpyKind>(TakeValue<int64_t>(&at));
    const cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, stream);
    if (error == cudaSuccess) return std::string();
    return absl::StrCat("a copy: ", cudaGetErrorString(error));
  };
  list->Append(put, to, from, bytes, static_cast<int64_t>(kind));
}

}  // namespace

Queue::Queue(int device) : device_(device) {
  Use();
  CheckCuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
            "stream");
}

Queue::~Queue() {
  for (CommandWatcher* watcher : watchers_) watcher->Done();
  cudaSetDevice(device_);
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}

void Queue::Use() const { CheckCuda(cudaSetDevice(device_), "device"); }

void Queue::Copy(void* to, const void* from, size_t bytes,
                 cudaMemcpyKind kind) {
  AppendCopy(&commands_, to, from, bytes, kind);
}

void Queue::Watch(CommandWatcher* watcher) {
  if (std::find(watchers_.begin(), watchers_.end(), watcher) ==
      watchers_.end()) {
    watchers_.push_back(watcher);
  }
}

ArenaPlace Queue::Stage(size_t bytes) {
  if (!staged_.HasRoom(bytes)) Use();
  return staged_.Take(bytes);
}

void* Queue::Scratch(size_t bytes) {
  if (!scratch_.HasRoom(bytes)) Use();
  return scratch_.Take(bytes).device;
}

void Queue::Retire(DeviceMemory device, PinnedMemory host) {
  Use();
  // With no command there is nothing that could use the memory, so it is freed
  // at once, when the clearing of it has ended.
  if (commands_.size() == 0 && !running_) {  // they go now
    CheckCuda(cudaStreamSynchronize(stream_), "clearing memory");
    return;
  }
  retired_device_.push_back(std::move(device));
  retired_host_.push_back(std::move(host));
}

void Queue::Bound() {
  if (staged_.used() > kMostStaged) {
    Run();
  } else if (commands_.size() > kMostCommands) {
    Submit();
  }
}

void Queue::Submit() {
  Use();
  run_.Clear();
  staged_.ForEachNew([this](const ArenaPlace& place, size_t bytes) {
    // What was staged goes first, as commands read it.
    AppendCopy(&run_, place.device, place.host, bytes, cudaMemcpyHostToDevice);
  });
  run_.Append(commands_);
  if (!running_) start_ = Clock::now();
  running_ = true;
  graphs_.Put(run_, stream_);
  commands_.Clear();
}

void Queue::Run() {
  if (commands_.size() > 0) Submit();
  if (!running_) return;
  Wait();
  running_ = false;
  for (CommandWatcher* watcher : std::exchange(watchers_, {})) {
    watcher->Done();
  }
  staged_.Reset();
  scratch_.Reset();
  retired_device_.clear();
  retired_host_.clear();
}

void Queue::Wait() {
  if (watchers_.empty()) {
    // Only collectives can be kept from ending by another rank; without them
    // the runtime may wait by itself.
    CheckCuda(cudaStreamSynchronize(stream_), "a kernel");
    return;
  }
  for (int look = 0;; ++look) {
    const cudaError_t error = cudaStreamQuery(stream_);
    if (error == cudaSuccess) return;
    if (error != cudaErrorNotReady) CheckCuda(error, "a kernel");
    if (look % kLooks != kLooks - 1) continue;
    for (CommandWatcher* watcher : watchers_) watcher->Look(start_);
  }
}

}  // namespace subgen::cuda
