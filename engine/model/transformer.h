// This is the layer loop of a decoder-only transformer (llama, qwen2, qwen3),
// as one rank runs it. The same Forward serves prompt chunks and decoded tokens
// of several sequences.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/partial_merge.h"
#include "comm/rank_grid.h"
#include "engine/cache/cache_policy.h"
#include "engine/model/activations.h"
#include "engine/model/batch.h"
#include "engine/model/layer_caches.h"
#include "engine/model/logits_head.h"
#include "engine/model/model_file.h"
#include "engine/model/shard_plan.h"
#include "engine/model/step_layout.h"
#include "engine/model/weights.h"
#include "kernels/backend.h"
#include "kernels/memory/hadamard.h"
#include "kernels/top_numbers.h"

namespace subgen {

struct TransformerOptions {
  CacheConfig cache;
  MergeMethod merge = MergeMethod::kAllReduce;
  int64_t context_tokens = 0;  // longest sequence
  int64_t max_batch = 0;       // tokens in a step
  int slots = 1;
  PolicyFactory make_policy = MakeCachePolicy;
};

class Transformer {
 public:
  // Everything that is passed in outlives the transformer.
  static absl::StatusOr<std::unique_ptr<Transformer>> Make(
      const ModelFile& file, const TransformerOptions& options, RankGrid& grid,
      Backend& backend);

  // Returns the logits of the rows that the runs ask for, in their order:
  // [rows, vocabulary], the same on every rank, valid until the next call. The
  // call is collective.
  Matrix<const float> Forward(const Batch& batch);
  // Makes the same step, and returns of its rows only what is asked for, the
  // same on every rank (the last digits of sums may depend on how many there
  // are).
  std::vector<RowTop> ForwardTop(const Batch& batch, const TopRequest& request);
  // Returns the logits of the last step, as Forward gives them. The call is
  // collective.
  Matrix<const float> Logits();

  LayerCaches& caches() { return *caches_; }
  const LayerCaches& caches() const { return *caches_; }
  int64_t weight_bytes() const { return weights_.bytes; }
  const ModelConfig& config() const { return config_; }

 private:
  Transformer(const ModelFile& file, const TransformerOptions& options,
              RankGrid& grid, Backend& backend);
  // Keeps the weights of all layers and the unembedding on the backend's
  // device.
  absl::Status KeepWeights(const ModelFile& file);
  CacheShape ShapeOfCache() const;  // of layer 0
  absl::Status MakeCaches();
  // Returns the spreads of all [layers * KV heads of the model]. The call is
  // collective.
  absl::StatusOr<std::vector<double>> MeasureKeySpreads();

  // Runs the step up to the logits of this rank.
  void RunLayers(const Batch& batch, LayerCaches& caches);

  // These compute what attention, and what the feed-forward, adds to the
  // residual stream, of which both read the norm.
  void Attention(const LayerWeights& layer, Matrix<const float> normed,
                 CachePolicy& cache, Matrix<float> added);
  void FeedForward(const LayerWeights& layer, Matrix<const float> normed,
                   Matrix<float> added);
  // Sets hidden += added and normed = its norm, which the next part reads.
  void AddAndNorm(Matrix<const float> added, const Buffer<float>& gain,
                  Matrix<float> hidden, Matrix<float> normed);

  // These are the parts of Attention. Queries are of all tokens; keys and
  // values are of those that this token shard owns.
  void ProjectHeads(const LayerWeights& layer, Matrix<const float> normed,
                    const Projections& rows);
  void AddBiasesAndNorms(const LayerWeights& layer, const Projections& rows);
  void NormHeads(const Buffer<float>& gain, Matrix<float> heads);
  LayerStep ArrangeHeads(const Projections& rows);
  void ShowAttention(const LayerStep& step, const SoftmaxPartials& partials,
                     CachePolicy& cache);
  void ProjectOutput(const LayerWeights& layer, const SoftmaxPartials& partials,
                     Matrix<float> added);
  void ApplyHadamard(Matrix<float> rows, bool back);  // where there is one
  void SumOverRanks(Matrix<float> part);

  const ModelConfig& config_;
  const TransformerOptions options_;
  // This transforms queries, keys and values.
  const std::optional<HadamardTransform> hadamard_;
  RankGrid& grid_;
  Backend& backend_;
  const ShardPlan plan_;
  const Weights weights_;
  std::unique_ptr<LayerCaches> caches_;
  PartialMerger merger_;
  ActivationBuffers buffers_;
  LogitsHead head_;

  // These are of the step.
  StepLayout layout_;
  Activations x_;
};

}  // namespace subgen
