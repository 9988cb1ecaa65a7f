#include "engine/model/transformer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "comm/agreement.h"
#include "engine/cache/budget.h"
#include "engine/cache/rows/row_store.h"
#include "engine/model/head_shares.h"
#include "kernels/base/status_macros.h"

namespace subgen {

namespace {

std::optional<HadamardTransform> HadamardOf(const CacheConfig& cache,
                                            int64_t head_dim) {
  if (!TransformsRows(cache)) return std::nullopt;
  return HadamardTransform(head_dim);
}

}  // namespace

Transformer::Transformer(const GgufFile& file, const ModelConfig& config,
                         const TransformerOptions& options, RankGrid& grid,
                         Backend& backend)
    : config_(config),
      options_(options),
      hadamard_(HadamardOf(options.cache, config.head_dim)),
      grid_(grid),
      backend_(backend),
      plan_(PlanShard(config, file, grid.shape, grid.world->rank())),
      weights_(LoadWeights(file, config, plan_, backend.mirror())),
      step_work_(backend),
      merger_(*grid.tokens, options.merge,
              options.max_batch * plan_.query_heads.count, config.head_dim,
              &backend) {
  for (int rank = 0; rank < grid.world->size(); ++rank) {
    vocabulary_counts_.push_back(static_cast<int>(
        PlanShard(config, file, grid.shape, rank).vocabulary.count));
  }
  AllocateActivations();
}

void Transformer::AllocateActivations() {
  const int64_t batch = options_.max_batch, head_dim = config_.head_dim;
  const int64_t query = plan_.query_heads.count * head_dim;
  const int64_t key = plan_.kv_heads.count * head_dim;
  Mirror* const mirror = backend_.mirror();
  const auto floats = [mirror](int64_t size) {
    return Buffer<float>(size, mirror);
  };
  hidden_ = floats(batch * config_.embedding);
  normed_ = floats(batch * config_.embedding);
  projected_ = floats(batch * config_.embedding);
  token_major_ = floats(batch * std::max(query, plan_.output_columns.count));
  token_major_keys_ = floats(batch * key);
  token_major_values_ = floats(batch * key);
  queries_ = floats(batch * query);
  keys_ = floats(batch * key);
  values_ = floats(batch * key);
  log_partition_ = floats(batch * plan_.query_heads.count);
  gate_ = floats(batch * plan_.feed_forward.count);
  up_ = floats(batch * plan_.feed_forward.count);
  partials_ = PartialsBuffer(batch * plan_.query_heads.count, head_dim, mirror);
}

absl::StatusOr<std::unique_ptr<Transformer>> Transformer::Make(
    const GgufFile& file, const ModelConfig& config,
    const TransformerOptions& options, RankGrid& grid, Backend& backend) {
  std::unique_ptr<Transformer> made(
      new Transformer(file, config, options, grid, backend));
  RETURN_IF_ERROR(AgreeOnStatus(*grid.world, made->KeepWeights(file)));
  RETURN_IF_ERROR(made->MakePolicies());
  return made;
}

absl::Status Transformer::KeepWeights(const GgufFile& file) {
  for (const LayerWeights& layer : weights_.layers) {
    for (const WeightMatrix* weight :
         {&layer.query, &layer.key, &layer.value, &layer.output, &layer.gate,
          &layer.up, &layer.down}) {
      RETURN_IF_ERROR(backend_.KeepWeight(*weight));
    }
    file.DropPages();  // so that weights are not in memory twice at any time
  }
  RETURN_IF_ERROR(backend_.KeepWeight(weights_.unembedding));
  backend_.KeepTable(weights_.embedding);  // last: it need not fit
  file.DropPages();
  return absl::OkStatus();
}

void Transformer::Arrange(const Batch& batch) {
  chunks_.clear();
  tokens_.clear();
  positions_.clear();
  owned_rows_.clear();
  owned_positions_.clear();
  owned_tokens_.clear();
  logit_rows_.clear();
  for (const BatchRun& run : batch) {
    const int count = static_cast<int>(run.tokens.size());
    const int first = static_cast<int>(tokens_.size());
    const int first_owned = static_cast<int>(owned_rows_.size());
    for (int i = 0; i < count; ++i) {
      const int64_t position = run.position + i;
      tokens_.push_back(run.tokens[i]);
      positions_.push_back(position);
      if (run.all_logits || i + 1 == count) logit_rows_.push_back(first + i);
      if (!grid_.Owns(position)) continue;
      owned_rows_.push_back(first + i);
      owned_positions_.push_back(position);
      owned_tokens_.push_back(i);
    }
    const int owned = static_cast<int>(owned_rows_.size()) - first_owned;
    chunks_.push_back({run.slot, run.position, first, count, first_owned, owned,
                       run.ends_prompt});
  }
  step_.chunks = chunks_;
  step_.tokens = tokens_.size();
  step_.owned = owned_rows_.size();
  step_.group = config_.group();
  step_.owned_positions = owned_positions_;
  step_.owned_tokens = owned_tokens_;
  SUBGEN_CHECK(step_.tokens >= 1 && step_.tokens <= options_.max_batch);
}

void Transformer::Layers(const Batch& batch) {
  Arrange(batch);
  Matrix<float> hidden = hidden_.matrix(step_.tokens, config_.embedding);
  backend_.Embed(weights_.embedding, tokens_, hidden);
  backend_.RmsNorm(hidden, weights_.layers[0].attention_norm.span(),
                   config_.norm_epsilon,
                   normed_.matrix(step_.tokens, config_.embedding));
  for (int layer = 0; layer < config_.layers; ++layer) {
    Attention(layer);
    AddProjected(weights_.layers[layer].feed_forward_norm.span());
    FeedForward(weights_.layers[layer]);
    if (layer + 1 < config_.layers) {
      AddProjected(weights_.layers[layer + 1].attention_norm.span());
    }
  }
  for (const auto& policy : policies_) policy->EndStep();
}

// Attend to the past and the chunk, merge over ranks, observe, append.
void Transformer::Attention(int layer) {
  const LayerWeights& weights = weights_.layers[layer];
  ProjectHeads(weights);
  const SoftmaxPartials partials = partials_.Resize(step_.queries.rows);
  CachePolicy& policy = *policies_[layer];
  policy.Attend(step_, partials);
  merger_.Merge(partials_);  // over token shards
  if (policy.needs() != Needs::kNothing) ShowAttention(partials, &policy);
  policy.Append(step_);
  ProjectOutput(weights);
}

void Transformer::ShowAttention(const SoftmaxPartials& partials,
                                CachePolicy* policy) {
  const Vector<float> log_partition =
      log_partition_.span().first(step_.queries.rows);
  backend_.LogPartition(partials, log_partition);
  if (policy->needs() == Needs::kQueries) {
    ReadByHost(backend_, Numbers(step_.queries));
    ReadByHost(backend_, log_partition);
  }
  policy->Observe(step_, log_partition);
}

void Transformer::ApplyHadamard(Matrix<float> rows, bool back) {
  if (hadamard_) backend_.ApplyHadamard(*hadamard_, rows, back);
}

void Transformer::SumOverRanks(Matrix<float> part) {
  grid_.world->AllReduce(backend_, Numbers(part), ReduceOp::kSum);
}

// Queries of all tokens; keys and values of those that this token shard owns.
void Transformer::ProjectHeads(const LayerWeights& weights) {
  const Matrix<float> normed = normed_.matrix(step_.tokens, config_.embedding);
  const int64_t query = plan_.query_heads.count * config_.head_dim;
  const int64_t key = plan_.kv_heads.count * config_.head_dim;
  const Projected rows = {token_major_.matrix(step_.tokens, query),
                          token_major_keys_.matrix(step_.owned, key),
                          token_major_values_.matrix(step_.owned, key)};
  const LinearProduct products[] = {{&weights.query, rows.queries},
                                    {&weights.key, rows.keys},
                                    {&weights.value, rows.values}};
  if (step_.owned == step_.tokens) {
    backend_.Linears(normed, products);
  } else {
    backend_.Linear(normed, weights.query, rows.queries);
    const Matrix<float> owned =
        projected_.matrix(step_.owned, config_.embedding);
    backend_.GatherRows(normed, owned_rows_, owned);
    backend_.Linears(owned, Vector<const LinearProduct>(products).subspan(1));
  }
  AddBiasesAndNorms(weights, rows);
  ArrangeHeads(rows);
}

void Transformer::NormHeads(Vector<const float> gain, Matrix<float> heads) {
  const Matrix<float> each(
      heads.data, heads.rows * heads.cols / config_.head_dim, config_.head_dim);
  backend_.RmsNorm(each, gain, config_.norm_epsilon, each);
}

void Transformer::AddBiasesAndNorms(const LayerWeights& weights,
                                    const Projected& rows) {
  if (config_.qkv_bias) {
    backend_.AddRow(weights.query_bias.span(), rows.queries);
    backend_.AddRow(weights.key_bias.span(), rows.keys);
    backend_.AddRow(weights.value_bias.span(), rows.values);
  }
  if (config_.qk_norm) {
    NormHeads(weights.query_norm.span(), rows.queries);
    NormHeads(weights.key_norm.span(), rows.keys);
  }
}

void Transformer::ArrangeHeads(const Projected& rows) {
  const int64_t head_dim = config_.head_dim, kv_heads = plan_.kv_heads.count;
  const HeadLayout all{step_.tokens, kv_heads, config_.group(), head_dim};
  const HeadLayout owned{step_.owned, kv_heads, 1, head_dim};
  const Matrix<float> queries = queries_.matrix(all.rows(), head_dim);
  const Matrix<float> keys = keys_.matrix(owned.rows(), head_dim);
  const Matrix<float> values = values_.matrix(owned.rows(), head_dim);
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  const HeadSplit splits[] = {
      {{&config_.rotary, positions_}, all, rows.queries, scale, queries},
      {{&config_.rotary, owned_positions_}, owned, rows.keys, 1.0f, keys},
      {{}, owned, rows.values, 1.0f, values}};
  backend_.SplitHeads(splits);
  for (const Matrix<float>& rows : {queries, keys, values}) {
    ApplyHadamard(rows, false);
  }
  step_.queries = queries;
  step_.keys = keys;
  step_.values = values;
}

void Transformer::ProjectOutput(const LayerWeights& weights) {
  const Range columns = plan_.output_columns;
  const Range features = plan_.attention_features;
  const HeadLayout layout{step_.tokens, plan_.kv_heads.count, config_.group(),
                          config_.head_dim};
  Matrix<float> attention = token_major_.matrix(step_.tokens, columns.count);
  if (columns.count > features.count) {  // zeros for other ranks' features
    backend_.Clear(attention);
  }
  ApplyHadamard(partials_.view().weighted, true);
  const int64_t first_feature = plan_.query_heads.first * config_.head_dim;
  backend_.JoinHeads(layout, partials_.view(),
                     {features.first - first_feature, features.count,
                      features.first - columns.first},
                     attention);
  Matrix<float> projected = projected_.matrix(step_.tokens, config_.embedding);
  backend_.Linear(attention, weights.output, projected);
  SumOverRanks(projected);
}

void Transformer::AddProjected(Vector<const float> next_gain) {
  backend_.AddRmsNorm(projected_.matrix(step_.tokens, config_.embedding),
                      hidden_.matrix(step_.tokens, config_.embedding),
                      next_gain, config_.norm_epsilon,
                      normed_.matrix(step_.tokens, config_.embedding));
}

void Transformer::FeedForward(const LayerWeights& weights) {
  Matrix<float> normed = normed_.matrix(step_.tokens, config_.embedding);
  Matrix<float> gate = gate_.matrix(step_.tokens, plan_.feed_forward.count);
  Matrix<float> up = up_.matrix(step_.tokens, plan_.feed_forward.count);
  Matrix<float> projected = projected_.matrix(step_.tokens, config_.embedding);
  backend_.GatedLinears(normed, {&weights.up, up}, {&weights.gate, gate});
  backend_.Linear(gate, weights.down, projected);
  SumOverRanks(projected);
}

void Transformer::Forget(int slot) {
  for (const auto& policy : policies_) policy->Forget(slot);
}

CacheUse Transformer::Use(int slot) const {
  CacheUse use;
  const RowLayout layout = {*ParseRowFormat(options_.cache.row_format),
                            config_.head_dim};
  for (const auto& policy : policies_) {
    const CacheStats stats = policy->Stats(slot);
    use.bytes += stats.bytes;
    use.rows += stats.rows;
    use.tokens = stats.tokens_seen;
    if (grid_.token_shard() != 0) continue;  // counted once a head group
    use.exact_bytes += stats.tokens_seen * plan_.kv_heads.count * 2 *
                       layout.Exact().row_bytes();
  }
  return use;
}

}  // namespace subgen
