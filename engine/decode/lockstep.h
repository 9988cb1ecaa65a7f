// Rank 0 decides every step and broadcasts it; the others replay it. No other
// message tells a rank what to do.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/communicator.h"
#include "comm/step_deadline.h"
#include "engine/model/transformer.h"

namespace subgen {

// These are sums of what the ranks hold.
struct RankTotals {
  int64_t tokens = 0;             // of the sequence
  int64_t cache_bytes = 0;        // that hold something
  int64_t reserved_bytes = 0;     // allocated for them
  int64_t exact_cache_bytes = 0;  // that an exact cache would hold
  int64_t cache_rows = 0;
  int64_t exact_cache_rows = 0;  // one per token, layer and KV head
  int64_t weight_bytes = 0;
};

// A rank works with these, as leader or follower. All of them outlive both.
struct LockstepRank {
  Transformer& transformer;
  RankGrid& grid;
  StepDeadline& deadline;
};

// This is rank 0's side.
class Leader {
 public:
  explicit Leader(const LockstepRank& rank) : rank_(rank) {}

  // These are as the Transformer's, on all ranks.
  Matrix<const float> Forward(const Batch& batch);
  std::vector<RowTop> ForwardTop(const Batch& batch, const TopRequest& request);
  Matrix<const float> Logits();
  void Forget(int slot);
  RankTotals Totals(int slot);

  // Returns what this rank has spent in collectives, in seconds since the
  // start.
  double communication_seconds() const;
  // Returns the number of messages to the other ranks so far; a step is one.
  int64_t messages() const { return step_; }
  const ModelConfig& model() const { return rank_.transformer.config(); }

 private:
  friend class Engine;
  // Ends Follow on the other ranks; nothing may follow.
  void Stop();
  // Sends the command, and does here what the others do.
  template <class Command>
  auto Tell(const Command& command);

  const LockstepRank rank_;
  int64_t step_ = 0;
};

// This is the other ranks' side: it returns when the leader stops. A message
// that cannot be of this leader is fatal.
void Follow(const LockstepRank& rank);

}  // namespace subgen
