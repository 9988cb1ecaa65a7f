// Command lists as CUDA graphs: a list that soon comes again is captured, and
// is one launch from then on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cuda/runtime/command_list.h"

namespace subgen::cuda {

class GraphCache {
 public:
  GraphCache() = default;
  ~GraphCache();
  GraphCache(const GraphCache&) = delete;

  // Puts the list on the stream: as a graph if it came lately, otherwise
  // command by command. Once capture has been refused, it is always command by
  // command. A command that goes wrong outside a capture is Fatal.
  void Put(const CommandList& list, cudaStream_t stream);

  // Says why lists are not captured any more; it is empty if they are.
  const std::string& refusal() const { return refusal_; }

 private:
  struct Graph {
    uint64_t hash = 0;
    std::vector<std::byte> key;
    cudaGraph_t captured = nullptr;  // owns what NCCL needs when it runs
    cudaGraphExec_t executable = nullptr;
    int64_t last_use = 0;
  };
  static void Destroy(Graph* graph);
  Graph* Find(uint64_t hash, Vector<const std::byte> key);
  // Returns whether a list of this hash was put lately; from now on it was.
  bool CameBefore(uint64_t hash);
  // Returns null after a refusal, which it notes.
  cudaGraph_t Capture(const CommandList& list, cudaStream_t stream);
  // Makes the graph executable and the cache's own: a new one while there is
  // room, otherwise in place of the one that was used longest ago. Returns null
  // after a refusal.
  Graph* Keep(cudaGraph_t captured);
  void Refuse(const std::string& cause);

  std::vector<Graph> graphs_;
  std::vector<uint64_t> came_;  // a ring of hashes
  size_t next_came_ = 0;
  int64_t uses_ = 0;
  std::string refusal_;
};

}  // namespace subgen::cuda
