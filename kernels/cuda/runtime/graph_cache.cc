#include "kernels/cuda/runtime/graph_cache.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/base/check.h"
#include "kernels/cuda/runtime/cuda_error.h"

namespace subgen::cuda {
namespace {

// So many shapes of steps may take turns. A list is captured if it comes again
// within as many others: if more than these took turns, they would only drive
// out one another.
constexpr size_t kMostGraphs = 8;

// Hashes the key's words; a key is made of values of 4 and 8 bytes.
uint64_t Hash(Vector<const std::byte> key) {
  uint64_t hash = 0x9e3779b97f4a7c15u ^ key.size();
  for (size_t at = 0; at < key.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, &key[at], std::min(sizeof(word), key.size() - at));
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

GraphCache::~GraphCache() {
  for (Graph& graph : graphs_) Destroy(&graph);
}

void GraphCache::Destroy(Graph* graph) {
  if (graph->executable != nullptr) cudaGraphExecDestroy(graph->executable);
  if (graph->captured != nullptr) cudaGraphDestroy(graph->captured);
  *graph = {};
}

GraphCache::Graph* GraphCache::Find(uint64_t hash,
                                    Vector<const std::byte> key) {
  for (Graph& graph : graphs_) {
    // Equal hashes are not enough: another list's graph would do other work.
    if (graph.hash == hash && std::equal(key.begin(), key.end(),
                                         graph.key.begin(), graph.key.end())) {
      return &graph;
    }
  }
  return nullptr;
}

bool GraphCache::CameBefore(uint64_t hash) {
  if (std::find(came_.begin(), came_.end(), hash) != came_.end()) return true;
  if (came_.size() < kMostGraphs) {
    came_.push_back(hash);
  } else {
    came_[next_came_++ % kMostGraphs] = hash;
  }
  return false;
}

void GraphCache::Refuse(const std::string& cause) {
  cudaGetLastError();  // or the next launch would report it
  refusal_ = absl::StrCat("steps are not captured as CUDA graphs: ", cause);
}

cudaGraph_t GraphCache::Capture(const CommandList& list, cudaStream_t stream) {
  // In this mode, what other threads do, NCCL's own too, does not matter to the
  // capture.
  cudaError_t error =
      cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  if (error != cudaSuccess) {
    Refuse(cudaGetErrorString(error));
    return nullptr;
  }
  std::string cause = list.Put(stream);
  cudaGraph_t graph = nullptr;
  error = cudaStreamEndCapture(stream, &graph);
  if (cause.empty() && error == cudaSuccess) return graph;
  if (graph != nullptr) cudaGraphDestroy(graph);
  Refuse(cause.empty() ? cudaGetErrorString(error) : cause);
  return nullptr;
}

GraphCache::Graph* GraphCache::Keep(cudaGraph_t captured) {
  const bool room = graphs_.size() < kMostGraphs;
  if (room) graphs_.emplace_back();
  Graph& kept = room ? graphs_.back()
                     : *std::min_element(graphs_.begin(), graphs_.end(),
                                         [](const Graph& a, const Graph& b) {
                                           return a.last_use < b.last_use;
                                         });
  // If the commands are the same with other addresses and sizes, an update is
  // cheaper than a new graph.
  cudaGraphExecUpdateResultInfo ignored = {};
  if (kept.executable != nullptr &&
      cudaGraphExecUpdate(kept.executable, captured, &ignored) == cudaSuccess) {
    cudaGraphDestroy(std::exchange(kept.captured, captured));
    return &kept;
  }
  cudaGetLastError();
  Destroy(&kept);
  kept.captured = captured;
  const cudaError_t error = cudaGraphInstantiate(&kept.executable, captured, 0);
  if (error == cudaSuccess) return &kept;
  kept.executable = nullptr;
  Refuse(cudaGetErrorString(error));
  return nullptr;
}

void GraphCache::Put(const CommandList& list, cudaStream_t stream) {
  const auto put_each = [&] {
    const std::string cause = list.Put(stream);
    if (!cause.empty()) Fatal(absl::StrCat("CUDA: ", cause));
  };
  if (!refusal_.empty()) return put_each();
  const uint64_t hash = Hash(list.key());
  Graph* graph = Find(hash, list.key());
  if (graph == nullptr) {
    // Capturing pays only for a list that is launched again.
    if (!CameBefore(hash)) return put_each();
    const cudaGraph_t captured = Capture(list, stream);
    if (captured == nullptr) return put_each();
    graph = Keep(captured);
    if (graph == nullptr) return put_each();
    graph->hash = hash;
    graph->key.assign(list.key().begin(), list.key().end());
  }
  graph->last_use = ++uses_;
  CheckCuda(cudaGraphLaunch(graph->executable, stream), "graph launch");
}

}  // namespace subgen::cuda
