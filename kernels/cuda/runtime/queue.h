// This is the one in-order queue of a device. Commands are written down and put
// on its stream all together when the host must see a result: first one copy of
// all operands that the host staged for them, then the commands, as one graph
// where the same list came before.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "kernels/cuda/runtime/arena.h"
#include "kernels/cuda/runtime/command_list.h"
#include "kernels/cuda/runtime/graph_cache.h"

namespace subgen::cuda {

// A watcher must be asked while commands of its owner are waited for. These are
// collectives, which a lost peer would keep from ending.
class CommandWatcher {
 public:
  virtual ~CommandWatcher() = default;
  // Is Fatal if the commands will not end. `start`: when they were put on the
  // stream.
  virtual void Look(std::chrono::steady_clock::time_point start) = 0;
  // Is called when they have ended, or were dropped.
  virtual void Done() = 0;
};

class Queue {
 public:
  explicit Queue(int device);
  // Drops what was not run.
  ~Queue();
  Queue(const Queue&) = delete;

  // Commands run in the order of their calls.
  template <class... Values>
  void Append(PutCommand put, const Values&... values) {
    commands_.Append(put, values...);
  }
  void Copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
  // `watcher` is asked in the next Run, and no more after its Done.
  void Watch(CommandWatcher* watcher);

  // Returns room whose bytes, as they are when Run is called, are on the device
  // before the first command.
  ArenaPlace Stage(size_t bytes);
  // Returns room on the device until ReleaseScratch, after which commands that
  // are appended later may get the same.
  void* Scratch(size_t bytes);
  void ReleaseScratch() { scratch_.Rewind(); }
  // Takes memory that is to be freed when no command that was appended uses it
  // any more.
  void Retire(DeviceMemory device, PinnedMemory host);

  // Puts all on the stream and waits for it.
  void Run();
  // Bounds, between operations, what waits: commands and staged bytes.
  void Bound();

  int device() const { return device_; }
  // Chooses the device. It is the thread's own, so this comes before any call
  // of CUDA.
  void Use() const;
  // Returns the stream, for work that comes before all commands that were not
  // run yet.
  cudaStream_t stream() const { return stream_; }
  const std::string& capture_refusal() const { return graphs_.refusal(); }

 private:
  using Clock = std::chrono::steady_clock;
  // Puts all on the stream.
  void Submit();
  void Wait();

  const int device_;
  cudaStream_t stream_ = nullptr;
  CommandList commands_, run_;
  bool running_ = false;     // whether something was put on the stream
  Clock::time_point start_;  // when it was, at first
  Arena staged_{Arena::Sides::kBoth};
  Arena scratch_{Arena::Sides::kDevice};
  std::vector<CommandWatcher*> watchers_;
  std::vector<DeviceMemory> retired_device_;
  std::vector<PinnedMemory> retired_host_;
  GraphCache graphs_;
};

}  // namespace subgen::cuda
