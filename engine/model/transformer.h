// The layer loop of a decoder-only transformer (llama, qwen2, qwen3), one
// rank's share of it. The same Forward serves prompt chunks and decoded tokens
// of several sequences.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/partial_merge.h"
#include "comm/rank_grid.h"
#include "engine/cache/cache_policy.h"
#include "engine/cache/step_work.h"
#include "engine/model/weights.h"
#include "kernels/backend.h"
#include "kernels/memory/hadamard.h"

namespace subgen {

// The tokens of one step: of each sequence a run, consecutive in position.
struct BatchRun {
  int slot = 0;
  int64_t position = 0;     // of the first token
  std::vector<int> tokens;  // >= 1
  bool ends_prompt = false;
  bool all_logits = false;  // of every token, else of the last one
};
using Batch = std::vector<BatchRun>;

// What is to be known of each row of logits of a step, where not all of it
// (Backend::Top).
struct TopRequest {
  int64_t most = 1;
  std::vector<float> scales;  // [rows]
};

struct TransformerOptions {
  CacheConfig cache;
  MergeMethod merge = MergeMethod::kAllReduce;
  int64_t context_tokens = 0;  // longest sequence
  int64_t max_batch = 0;       // tokens in a step
  int slots = 1;
  PolicyFactory make_policy = MakeCachePolicy;
};

// What the cache of this rank holds, over all layers. Sums over ranks are the
// whole: exact_bytes is counted by the first token shard of a head group.
struct CacheUse {
  int64_t tokens = 0;  // of the sequence
  ByteUse bytes;
  int64_t exact_bytes = 0;  // of an exact cache, not quantized
  int64_t rows = 0;
};

class Transformer {
 public:
  // Everything that is passed in outlives the transformer.
  static absl::StatusOr<std::unique_ptr<Transformer>> Make(
      const GgufFile& file, const ModelConfig& config,
      const TransformerOptions& options, RankGrid& grid, Backend& backend);

  // Logits of the rows that the runs ask for, in their order: [rows,
  // vocabulary], the same on every rank, valid until the next call. Collective.
  Matrix<const float> Forward(const Batch& batch);
  // The same step, and of its rows only what is asked for, the same on every
  // rank (the last digits of sums may depend on how many there are).
  std::vector<RowTop> ForwardTop(const Batch& batch, const TopRequest& request);
  // As Forward gives them, of the last step. Collective.
  Matrix<const float> Logits();

  void Forget(int slot);
  CacheUse Use(int slot) const;
  int64_t weight_bytes() const { return weights_.bytes; }
  // The settings in force, the rows of a KV head that they allow, and what all
  // caches of this rank may take.
  const CacheConfig& cache() const { return options_.cache; }
  int64_t budget_rows() const;
  int64_t most_cache_bytes() const;
  const ModelConfig& config() const { return config_; }

 private:
  Transformer(const GgufFile& file, const ModelConfig& config,
              const TransformerOptions& options, RankGrid& grid,
              Backend& backend);
  CacheShape ShapeOfCache() const;  // of layer 0
  void AllocateActivations();
  // Those of all layers and the unembedding, on the backend's device.
  absl::Status KeepWeights(const GgufFile& file);
  absl::Status MakePolicies();
  // Shares of all [layers * KV heads of the model], or empty: all alike.
  // Collective, as is MeasureKeySpreads.
  absl::StatusOr<std::vector<HeadShares>> ShareOutBudget();
  std::vector<double> MeasureKeySpreads();

  struct Projected {
    Matrix<float> queries, keys, values;  // token-major
  };

  // Where the batch's tokens lie; fills step_ and what it views.
  void Arrange(const Batch& batch);
  // Both read normed, and leave what is to be added to hidden in projected.
  void Attention(int layer);
  void FeedForward(const LayerWeights& weights);
  void ShowAttention(const SoftmaxPartials& partials, CachePolicy* policy);
  void ApplyHadamard(Matrix<float> rows, bool back);  // where there is one
  void SumOverRanks(Matrix<float> part);
  void ProjectHeads(const LayerWeights& weights);
  void NormHeads(Vector<const float> gain, Matrix<float> heads);
  void AddBiasesAndNorms(const LayerWeights& weights, const Projected& rows);
  void ArrangeHeads(const Projected& rows);
  void ProjectOutput(const LayerWeights& weights);
  // hidden += projected; normed = its norm, which the next part reads.
  void AddProjected(Vector<const float> next_gain);
  void Layers(const Batch& batch);
  // transformer_logits.cc: of hidden + projected, for the rows that the runs
  // ask for, into my_logits_.
  void ProjectLogits();
  Matrix<const float> GatherLogits(Matrix<float> mine);
  Matrix<const float> GatherTops(const TopRequest& request);

  const ModelConfig& config_;
  const TransformerOptions options_;
  const std::optional<HadamardTransform>
      hadamard_;  // of queries, keys and values
  RankGrid& grid_;
  Backend& backend_;
  const ShardPlan plan_;
  const Weights weights_;
  std::vector<int> vocabulary_counts_;  // [ranks] rows of the unembedding
  StepWork step_work_;                  // of the policies
  std::vector<std::unique_ptr<CachePolicy>> policies_;  // [layers]
  PartialMerger merger_;

  // The step: its shape, then activations sized for max_batch.
  LayerStep step_;
  std::vector<Chunk> chunks_;
  std::vector<int> tokens_;               // [tokens]
  std::vector<int64_t> positions_;        // [tokens]
  std::vector<int> owned_rows_;           // [owned] rows of the batch
  std::vector<int64_t> owned_positions_;  // [owned]
  std::vector<int> owned_tokens_;         // [owned] token of its chunk
  std::vector<int> logit_rows_;           // rows of the batch
  Buffer<float> hidden_;       // [max_batch, embedding], the residual stream
  Buffer<float> normed_;       // [max_batch, embedding]
  Buffer<float> projected_;    // [max_batch, embedding]
  Buffer<float> token_major_;  // [max_batch, queries or columns of the output]
  Buffer<float> token_major_keys_, token_major_values_;
  Buffer<float> queries_;  // head-major, see LayerStep
  Buffer<float> keys_, values_;
  Buffer<float> log_partition_;
  Buffer<float> gate_, up_;  // [max_batch, my hidden features]
  PartialsBuffer partials_;
  // Grown when more is read.
  Buffer<float> my_logits_, gathered_, logits_, my_tops_, tops_;
};

}  // namespace subgen
