// This emulates streams, events and graphs.
#include <cuda_runtime_api.h>

#include <atomic>
#include <utility>
#include <vector>

namespace subgen::emulation {
namespace {

struct Item {
  Work kind;
  std::function<void()> work;
};
using Items = std::vector<Item>;

std::atomic<Refusal> refusal{Refusal::kNowhere};
std::atomic<bool> stuck{false};
// The counts are in the order of Work.
std::atomic<int64_t> done[4];
std::atomic<int64_t> put, captures, instantiations, updates, launches, waits;

void Do(const Items& items) {
  for (const Item& item : items) {
    ++done[static_cast<int>(item.kind)];
    item.work();
  }
}

}  // namespace

int64_t AllocationsSoFar();
int64_t BytesToHostSoFar();

}  // namespace subgen::emulation

struct EmulatedStream {
  subgen::emulation::Items waiting, captured;
  bool captures = false;
};
struct EmulatedEvent {};
struct EmulatedGraph {
  subgen::emulation::Items items;
};
struct EmulatedGraphExec {
  subgen::emulation::Items items;
};

namespace subgen::emulation {

void Enqueue(cudaStream_t stream, Work kind, std::function<void()> work) {
  if (!stream->captures) ++put;
  Items& items = stream->captures ? stream->captured : stream->waiting;
  items.push_back({kind, std::move(work)});
}

void SetRefusal(Refusal where) { refusal = where; }
void SetStuck(bool is_stuck) { stuck = is_stuck; }

Counts CountsSoFar() {
  Counts counts;
  counts.allocations = AllocationsSoFar();
  counts.kernels = done[static_cast<int>(Work::kKernel)];
  counts.copies_to_device = done[static_cast<int>(Work::kCopyToDevice)];
  counts.other_copies = done[static_cast<int>(Work::kCopy)];
  counts.collectives = done[static_cast<int>(Work::kCollective)];
  counts.bytes_to_host = BytesToHostSoFar();
  counts.put = put;
  counts.captures = captures;
  counts.instantiations = instantiations;
  counts.updates = updates;
  counts.graph_launches = launches;
  counts.waits = waits;
  return counts;
}

}  // namespace subgen::emulation

using subgen::emulation::Do;
using subgen::emulation::Items;
using subgen::emulation::refusal;
using subgen::emulation::Refusal;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new EmulatedStream;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  cudaStreamQuery(stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (stream->captures) return cudaErrorStreamCaptureUnsupported;
  if (subgen::emulation::stuck) return cudaErrorNotReady;
  Do(std::exchange(stream->waiting, {}));
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ++subgen::emulation::waits;
  return cudaStreamQuery(stream);
}
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (refusal == Refusal::kBegin) return cudaErrorStreamCaptureUnsupported;
  stream->captures = true;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  stream->captures = false;
  Items items = std::exchange(stream->captured, {});
  *graph = nullptr;
  if (refusal == Refusal::kEnd) return cudaErrorStreamCaptureInvalidated;
  ++subgen::emulation::captures;
  *graph = new EmulatedGraph{std::move(items)};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  if (refusal == Refusal::kInstantiate) return cudaErrorMemoryAllocation;
  ++subgen::emulation::instantiations;
  *executable = new EmulatedGraphExec{graph->items};
  return cudaSuccess;
}
// Succeeds between graphs with the same kinds of nodes in the same order.
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo*) {
  const Items &now = executable->items, &next = graph->items;
  bool same = refusal != Refusal::kUpdate && now.size() == next.size();
  for (size_t i = 0; same && i < now.size(); ++i) {
    same = now[i].kind == next[i].kind;
  }
  if (!same) return cudaErrorGraphExecUpdateFailure;
  ++subgen::emulation::updates;
  executable->items = next;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
// Launches the graph as it is now, whatever becomes of it before the stream
// runs.
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  ++subgen::emulation::launches;
  const Items& items = executable->items;
  stream->waiting.insert(stream->waiting.end(), items.begin(), items.end());
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t,
                                 cudaEvent_t) {
  *milliseconds = 1.0f;
  return cudaSuccess;
}
