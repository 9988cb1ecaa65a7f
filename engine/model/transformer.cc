#include "engine/model/transformer.h"

#include <cmath>
#include <utility>

#include "comm/agreement.h"
#include "engine/cache/budget.h"
#include "engine/model/head_shares.h"
#include "engine/model/key_spread_probe.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

std::optional<HadamardTransform> HadamardOf(const CacheConfig& cache,
                                            int64_t head_dim) {
  if (!TransformsRows(cache)) return std::nullopt;
  return HadamardTransform(head_dim);
}

// Returns the rows of the unembedding that each rank has.
std::vector<int> VocabularyCounts(const ModelFile& file, const RankGrid& grid) {
  std::vector<int> counts;
  for (int rank = 0; rank < grid.world->size(); ++rank) {
    counts.push_back(
        static_cast<int>(PlanShard(file, grid.shape, rank).vocabulary.count));
  }
  return counts;
}

}  // namespace

Transformer::Transformer(const ModelFile& file,
                         const TransformerOptions& options, RankGrid& grid,
                         Backend& backend)
    : config_(file.config),
      options_(options),
      hadamard_(HadamardOf(options.cache, config_.head_dim)),
      grid_(grid),
      backend_(backend),
      plan_(PlanShard(file, grid.shape, grid.world->rank())),
      weights_(LoadWeights(file, plan_, backend.mirror())),
      merger_(*grid.tokens, options.merge,
              options.max_batch * plan_.query_heads.count, config_.head_dim,
              &backend),
      buffers_(config_, plan_, options.max_batch, backend.mirror()),
      head_(weights_, VocabularyCounts(file, grid), config_.norm_epsilon,
            *grid.world, backend) {}

absl::StatusOr<std::unique_ptr<Transformer>> Transformer::Make(
    const ModelFile& file, const TransformerOptions& options, RankGrid& grid,
    Backend& backend) {
  std::unique_ptr<Transformer> made(
      new Transformer(file, options, grid, backend));
  // One device may be too small where the others are not. A rank that gave up
  // alone would leave the others waiting in a collective.
  RETURN_IF_ERROR(AgreeOnStatus(*grid.world, made->KeepWeights(file)));
  RETURN_IF_ERROR(made->MakeCaches());
  return made;
}

absl::Status Transformer::KeepWeights(const ModelFile& file) {
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

CacheShape Transformer::ShapeOfCache() const {
  CacheShape shape;
  shape.kv_heads = static_cast<int>(plan_.kv_heads.count);
  shape.first_kv_head = static_cast<int>(plan_.kv_heads.first);
  shape.head_dim = config_.head_dim;
  shape.group = config_.group();
  shape.slots = options_.slots;
  shape.token_shards = grid_.shape.token_shards;
  shape.token_shard = grid_.token_shard();
  shape.token_block = grid_.shape.token_block;
  shape.context_tokens = options_.context_tokens;
  shape.step_tokens = options_.max_batch;
  shape.rotary = config_.rotary;
  return shape;
}

absl::Status Transformer::MakeCaches() {
  LayerCachesOptions options;
  options.config = options_.cache;
  options.shape = ShapeOfCache();
  options.layers = config_.layers;
  options.model_kv_heads = config_.kv_heads;
  options.make_policy = options_.make_policy;
  ASSIGN_OR_RETURN(const std::optional<double> growth,
                   GrowthToShare(options.config, options.shape));
  if (growth) {
    // Shares are measured before there are caches, as these are planned by
    // them.
    ASSIGN_OR_RETURN(const std::vector<double> spreads, MeasureKeySpreads());
    options.shares = SharesOverTime(spreads, *growth);
  }
  ASSIGN_OR_RETURN(caches_, LayerCaches::Make(options, backend_));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<double>> Transformer::MeasureKeySpreads() {
  KeySpreadProbes probes(hadamard_ ? &*hadamard_ : nullptr);
  LayerCachesOptions options;
  // What a key is must not depend on what a cache does to it.
  options.config.policy = "exact";
  options.config.row_format = "f32";
  options.shape = ShapeOfCache();
  options.layers = config_.layers;
  options.model_kv_heads = config_.kv_heads;
  options.make_policy = probes.Factory();
  ASSIGN_OR_RETURN(const auto caches, LayerCaches::Make(options, backend_));
  for (int64_t i = 0; i < kMeasuredTokens;) {
    BatchRun run;
    run.position = i;
    for (; i < kMeasuredTokens && std::ssize(run.tokens) < options_.max_batch;
         ++i) {
      run.tokens.push_back(MeasuredToken(i, config_.vocabulary));
    }
    RunLayers({run}, *caches);
    // Nobody reads the logits, but what a device has been asked for is done
    // when they are here, so that the caches may go.
    Logits();
  }
  return probes.Spreads(config_.kv_heads, *grid_.world);
}

Matrix<const float> Transformer::Forward(const Batch& batch) {
  RunLayers(batch, *caches_);
  return Logits();
}

std::vector<RowTop> Transformer::ForwardTop(const Batch& batch,
                                            const TopRequest& request) {
  RunLayers(batch, *caches_);
  return head_.Top(request);
}

Matrix<const float> Transformer::Logits() { return head_.All(); }

void Transformer::RunLayers(const Batch& batch, LayerCaches& caches) {
  layout_.Arrange(batch, grid_, caches[0]);
  const int64_t tokens = layout_.token_count();
  SUBGEN_CHECK(tokens >= 1 && tokens <= options_.max_batch);
  x_ = buffers_.Views(tokens, layout_.owned_count());
  const Activations& x = x_;
  backend_.Embed(weights_.embedding, layout_.tokens, x.hidden);
  backend_.RmsNorm(x.hidden, weights_.layers[0].attention_norm.span(),
                   config_.norm_epsilon, x.normed);
  for (int i = 0; i < config_.layers; ++i) {
    const LayerWeights& layer = weights_.layers[i];
    // Each part leaves in `added` what it adds. It is added together with the
    // norm that the next part reads, so hidden states are read once; after the
    // last layer the head does it.
    Attention(layer, x.normed, caches[i], x.added);
    AddAndNorm(x.added, layer.feed_forward_norm, x.hidden, x.normed);
    FeedForward(layer, x.normed, x.added);
    if (i + 1 < config_.layers) {
      AddAndNorm(x.added, weights_.layers[i + 1].attention_norm, x.hidden,
                 x.normed);
    }
  }
  // Sketches of all layers work together, in few operations.
  caches.EndStep();
  head_.Project(x.hidden, x.added, layout_.logit_rows);
}

// Attends to the past and the chunk, merges over ranks, observes, and appends.
void Transformer::Attention(const LayerWeights& layer,
                            Matrix<const float> normed, CachePolicy& cache,
                            Matrix<float> added) {
  ProjectHeads(layer, normed, x_.projections);
  AddBiasesAndNorms(layer, x_.projections);
  const LayerStep step = ArrangeHeads(x_.projections);
  const SoftmaxPartials partials = buffers_.partials.Resize(step.queries.rows);
  cache.Attend(step, partials);
  // Token shards have attended to different tokens. The policy observes after
  // the merge, as only then the log-partition is that of all tokens.
  merger_.Merge(buffers_.partials);  // over token shards
  if (cache.needs() != Needs::kNothing) ShowAttention(step, partials, cache);
  cache.Append(step);
  ProjectOutput(layer, partials, added);
}

void Transformer::ProjectHeads(const LayerWeights& layer,
                               Matrix<const float> normed,
                               const Projections& rows) {
  const LinearProduct products[] = {{&layer.query, rows.queries},
                                    {&layer.key, rows.keys},
                                    {&layer.value, rows.values}};
  // Keys and values are computed where they are kept and nowhere else; where
  // that is here for all tokens, three products read the tokens once.
  if (layout_.owned_count() == layout_.token_count()) {
    backend_.Linears(normed, products);
    return;
  }
  backend_.Linear(normed, layer.query, rows.queries);
  backend_.GatherRows(normed, layout_.owned_rows, x_.owned);
  backend_.Linears(x_.owned, Vector<const LinearProduct>(products).subspan(1));
}

void Transformer::AddBiasesAndNorms(const LayerWeights& layer,
                                    const Projections& rows) {
  if (config_.qkv_bias) {
    backend_.AddRow(layer.query_bias.span(), rows.queries);
    backend_.AddRow(layer.key_bias.span(), rows.keys);
    backend_.AddRow(layer.value_bias.span(), rows.values);
  }
  if (config_.qk_norm) {
    NormHeads(layer.query_norm, rows.queries);
    NormHeads(layer.key_norm, rows.keys);
  }
}

void Transformer::NormHeads(const Buffer<float>& gain, Matrix<float> heads) {
  const Matrix<float> each(
      heads.data, heads.rows * heads.cols / config_.head_dim, config_.head_dim);
  backend_.RmsNorm(each, gain.span(), config_.norm_epsilon, each);
}

LayerStep Transformer::ArrangeHeads(const Projections& rows) {
  LayerStep step = layout_.Step(config_.group());
  const int64_t head_dim = config_.head_dim, kv_heads = plan_.kv_heads.count;
  const HeadLayout all{step.tokens, kv_heads, step.group, head_dim};
  const HeadLayout owned{step.owned, kv_heads, 1, head_dim};
  // Queries carry the scale of attention, so that no logit needs it.
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  std::vector<HeadSplit> splits = {{{&config_.rotary, layout_.positions},
                                    all,
                                    rows.queries,
                                    scale,
                                    x_.queries},
                                   {{&config_.rotary, layout_.owned_positions},
                                    owned,
                                    rows.keys,
                                    1.0f,
                                    x_.keys},
                                   {{}, owned, rows.values, 1.0f, x_.values}};
  Matrix<float> queries = x_.queries;
  if (!layout_.sink_positions.empty()) {
    splits.push_back({{&config_.rotary, layout_.sink_positions},
                      all,
                      rows.queries,
                      scale,
                      x_.sink_queries});
    step.sink_queries = x_.sink_queries;
    queries.rows *= 2;  // both, as they lie one behind the other
  }
  backend_.SplitHeads(splits);
  for (const Matrix<float>& heads : {queries, x_.keys, x_.values}) {
    ApplyHadamard(heads, false);
  }
  step.queries = x_.queries;
  step.keys = x_.keys;
  step.values = x_.values;
  return step;
}

void Transformer::ShowAttention(const LayerStep& step,
                                const SoftmaxPartials& partials,
                                CachePolicy& cache) {
  backend_.LogPartition(partials, x_.log_partition);
  if (cache.needs() == Needs::kQueries) {
    // Only some policies look at numbers on the host; the others bring none.
    ReadByHost(backend_, Numbers(step.queries));
    ReadByHost(backend_, x_.log_partition);
  }
  cache.Observe(step, x_.log_partition);
}

void Transformer::ProjectOutput(const LayerWeights& layer,
                                const SoftmaxPartials& partials,
                                Matrix<float> added) {
  const Range columns = plan_.output_columns;
  const Range features = plan_.attention_features;
  const HeadLayout layout{layout_.token_count(), plan_.kv_heads.count,
                          config_.group(), config_.head_dim};
  if (columns.count > features.count) {  // zeros for other ranks' features
    backend_.Clear(x_.attention);
  }
  // The transform is linear, so it is undone once for each weighted sum and not
  // for each row.
  ApplyHadamard(partials.weighted, true);
  const int64_t first_feature = plan_.query_heads.first * config_.head_dim;
  backend_.JoinHeads(layout, partials,
                     {features.first - first_feature, features.count,
                      features.first - columns.first},
                     x_.attention);
  backend_.Linear(x_.attention, layer.output, added);
  SumOverRanks(added);
}

void Transformer::FeedForward(const LayerWeights& layer,
                              Matrix<const float> normed, Matrix<float> added) {
  backend_.GatedLinears(normed, {&layer.up, x_.up}, {&layer.gate, x_.gate});
  backend_.Linear(x_.gate, layer.down, added);
  SumOverRanks(added);
}

void Transformer::AddAndNorm(Matrix<const float> added,
                             const Buffer<float>& gain, Matrix<float> hidden,
                             Matrix<float> normed) {
  backend_.AddRmsNorm(added, hidden, gain.span(), config_.norm_epsilon, normed);
}

void Transformer::ApplyHadamard(Matrix<float> rows, bool back) {
  if (hadamard_) backend_.ApplyHadamard(*hadamard_, rows, back);
}

void Transformer::SumOverRanks(Matrix<float> part) {
  grid_.world->AllReduce(backend_, Numbers(part), ReduceOp::kSum);
}

}  // namespace subgen
