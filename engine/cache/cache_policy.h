// What is remembered of the past: one policy object for one layer, holding this
// rank's KV heads with one slot per running sequence. The rule for a layer, the
// same for a prompt chunk and for one decoded token:
//   Attend (the past and the chunk itself), merge, Observe, Append.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/cache/column.h"
#include "engine/config/engine_config.h"
#include "kernels/backend.h"

namespace subgen {

class SketchQueue;

// The tokens of one sequence in a step, consecutive in position.
struct Chunk {
  int slot = 0;
  int64_t position = 0;      // of its first token
  int first = 0;             // row of the batch
  int count = 0;             // tokens, >= 1
  int first_owned = 0;       // row of keys and values: those of the tokens that
  int owned_count = 0;       // this token shard owns; 0 is ordinary
  bool ends_prompt = false;  // its last token is the last of the prompt
};

// One layer's share of a step, for this rank's KV heads. Head-major.
struct LayerStep {
  Vector<const Chunk> chunks;
  int64_t tokens = 0;           // of the batch
  int64_t owned = 0;            // of them owned by this token shard
  int group = 1;                // query heads of a KV head
  Matrix<const float> queries;  // [kv_heads * tokens * group, head_dim]
  Matrix<const float> keys;     // [kv_heads * owned, head_dim], rotated
  Matrix<const float> values;   // [kv_heads * owned, head_dim]
  Vector<const int64_t> owned_positions;  // [owned], ascending in a chunk
  Vector<const int> owned_tokens;         // [owned], token of its chunk, from 0

  // The rows of one chunk and local KV head.
  Matrix<const float> Queries(const Chunk& chunk, int kv_head) const;
  Matrix<const float> Keys(const Chunk& chunk, int kv_head) const;
  Matrix<const float> Values(const Chunk& chunk, int kv_head) const;
  Vector<const int64_t> Positions(const Chunk& chunk) const;
  Vector<const int> Tokens(const Chunk& chunk) const;
  // Rows of partials or log-partitions, laid out as the queries are.
  SoftmaxPartials Partials(const SoftmaxPartials& all, const Chunk& chunk,
                           int kv_head) const;
  // Attention of each token of the chunk to those up to itself.
  AttentionTask TaskInside(const Chunk& chunk, int kv_head,
                           const SoftmaxPartials& all) const;
  Vector<const float> PerQuery(Vector<const float> all, const Chunk& chunk,
                               int kv_head) const;
};

struct CacheStats {
  int64_t tokens_seen = 0;  // of the sequence, on all token shards
  int64_t rows = 0;         // kept, over this rank's KV heads
  ByteUse bytes;            // of the slot, everything included
};

// What each KV head may hold outside its window, against the mean over all KV
// heads of the model, while a sequence has at most `most` times as many tokens
// there as that mean.
struct HeadShares {
  double most = 1.0;           // > 1
  std::vector<double> shares;  // [kv_heads], none over `most`
};

// What a policy must know of where it stands.
struct CacheShape {
  int layer = 0;
  int kv_heads = 0;       // of this rank
  int first_kv_head = 0;  // of the model: randomness is by global head
  int64_t head_dim = 0;
  int group = 1;
  int slots = 1;
  int token_shards = 1;
  int token_shard = 0;
  int64_t token_block = 16;
  int64_t context_tokens = 0;           // longest sequence
  int64_t step_tokens = 0;              // most of a step; 0: not known
  Rotary rotary;                        // for policies that re-index positions
  std::vector<HeadShares> head_shares;  // ascending; empty: all heads alike
  // Of all layers, and outlives the policy; null: each Append does all itself.
  SketchQueue* sketch_queue = nullptr;
};

class CachePolicy {
 public:
  virtual ~CachePolicy() = default;

  // out = attention of each token to the past and, inside its chunk, to those
  // up to itself; over rows of this token shard. Laid out as step.queries.
  virtual void Attend(const LayerStep& step, const SoftmaxPartials& out) = 0;
  // Whether it learns from attention: Observe must be called at each step.
  virtual bool Observes() const { return false; }
  // Whether Observe looks at queries and log_partition on the host, so that
  // they are brought there.
  virtual bool ReadsQueries() const { return false; }
  // After the merge over ranks. log_partition: [kv_heads * tokens * group].
  // For policies that learn from attention; keys are the chunk's own.
  virtual void Observe(const LayerStep& step,
                       Vector<const float> log_partition);
  // Takes the chunk's owned tokens in, then shrinks to the budget. Called on
  // every token shard at every step, also with no owned token.
  virtual void Append(const LayerStep& step) = 0;
  // After Append in every layer: does what is done for all layers at once. If
  // it is not called, the next use of any of them does it.
  virtual void EndStep() {}
  // The slot is empty afterwards.
  virtual void Forget(int slot) = 0;
  virtual CacheStats Stats(int slot) const = 0;

  // A sequence can be parked and resumed. Load refuses what another policy,
  // shape or setting wrote.
  virtual std::string Save(int slot) const = 0;
  virtual absl::Status Load(int slot, absl::string_view saved) = 0;
};

// Whether queries, keys and values come transformed
// (kernels/memory/hadamard.h), so that attention must be transformed back.
bool TransformsRows(const CacheConfig& config);

// Rows of a KV head over all token shards: the budget in rows, whichever way it
// is given, at most context_tokens. An error where sinks, recent tokens and one
// more row do not fit; recent tokens of `window` are what sinks leave of it.
absl::StatusOr<int64_t> BudgetRows(const CacheConfig& config,
                                   const CacheShape& shape);

// The last tokens, of a budget of so many rows, that stay in the window.
int64_t RecentTokens(const CacheConfig& config, int64_t budget_rows);

// Whether head_shares are to follow the spread of keys (cache.head_budgets).
bool SharesBySpread(const CacheConfig& config);

// By config.policy: exact, window, heavy_hitter, uniform, key_diff, snap_kv,
// kivi, subgen. The backend outlives the policy.
absl::StatusOr<std::unique_ptr<CachePolicy>> MakeCachePolicy(
    const CacheConfig& config, const CacheShape& shape, Backend& backend);

// MakeCachePolicy, or what measures the policies that it makes.
using PolicyFactory =
    std::function<absl::StatusOr<std::unique_ptr<CachePolicy>>(
        const CacheConfig&, const CacheShape&, Backend&)>;

}  // namespace subgen
