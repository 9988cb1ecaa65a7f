// A group of ranks that talk. Every rank of the group makes the same calls in
// the same order; a size-1 group does nothing, decided here and not in each
// transport. A lost peer is fatal to the whole job, never to one rank.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/memory/view.h"

namespace subgen {

class Backend;

enum class ReduceOp { kSum, kMax };

// What a rank spent in collectives of one group since it began. Groups of one
// rank and empty messages cost nothing and are not counted.
struct CommunicatorStats {
  int64_t calls = 0;
  int64_t bytes = 0;     // handed in by this rank
  double seconds = 0.0;  // waiting for peers included; on a queue: appending
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Sets data to op over the data of all ranks, in place. All ranks hand in the
  // same number of floats.
  void AllReduce(Vector<float> data, ReduceOp op);
  // Sets all to what each rank hands in, in rank order. counts[rank] is
  // mine.size(), and all.size() is the sum of the counts. Counts of zero are
  // ordinary. `mine` lies outside `all`.
  void AllGather(Vector<const float> mine, Vector<const int> counts,
                 Vector<float> all);
  // These do the same with memory that the backend mirrors. If these ranks can
  // (comm/nccl), the collective is appended to the queue of the device and
  // nobody waits; else it happens on the host.
  void AllReduce(Backend& backend, Vector<float> data, ReduceOp op);
  void AllGather(Backend& backend, Vector<const float> mine,
                 Vector<const int> counts, Vector<float> all);
  // Sends the root's bytes to all ranks. The other ranks may wait here for
  // long: they sleep rather than spin.
  void Broadcast(Vector<std::byte> data, int root);
  // Returns the ranks that give the same color (>= 0), in rank order.
  // Collective.
  virtual std::unique_ptr<Communicator> Split(int color) = 0;

  const CommunicatorStats& stats() const { return stats_; }

 protected:
  virtual void DoAllReduce(Vector<float> data, ReduceOp op) = 0;
  virtual void DoAllGather(Vector<const float> mine, Vector<const int> counts,
                           Vector<float> all) = 0;
  virtual void DoBroadcast(Vector<std::byte> data, int root) = 0;
  // Appends the collective to the queue of the backend's device, if the memory
  // is there. Returns false if that cannot be. All ranks get the same answer.
  virtual bool QueueAllReduce(Backend&, Vector<float>, ReduceOp) {
    return false;
  }
  virtual bool QueueAllGather(Backend&, Vector<const float>, Vector<const int>,
                              Vector<float>) {
    return false;
  }

 private:
  // It is Fatal if the arguments are not as AllGather says.
  void CheckGather(Vector<const float> mine, Vector<const int> counts,
                   Vector<float> all) const;

  CommunicatorStats stats_;
};

// Sends a string of any length from the root, its size first.
std::string BroadcastString(Communicator& ranks, std::string text, int root);

// This is the default: one rank, and no library.
std::unique_ptr<Communicator> MakeSingleRank();

}  // namespace subgen
