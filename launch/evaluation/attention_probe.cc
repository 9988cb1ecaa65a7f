#include "launch/evaluation/attention_probe.h"

#include <algorithm>
#include <cmath>

#include "engine/cache/forwarding_policy.h"
#include "engine/cache/step_work.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

double Norm(Vector<const double> x) {
  double squares = 0.0;
  for (const double each : x) squares += each * each;
  return std::sqrt(squares);
}

}  // namespace

double OperatorNorm(Vector<const double> gram, int64_t dim) {
  constexpr int kIterations = 60;
  std::vector<double> x(dim), next(dim);
  for (int64_t i = 0; i < dim; ++i) x[i] = 1.0 + 0.01 * static_cast<double>(i);
  double norm = 0.0;
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    const double length = Norm(x);
    for (int64_t i = 0; i < dim; ++i) {
      next[i] = 0.0;
      for (int64_t j = 0; j < dim; ++j) next[i] += gram[i * dim + j] * x[j];
      next[i] /= length;
    }
    x.swap(next);
    norm = Norm(x);
    if (norm == 0.0) return 0.0;
  }
  return std::sqrt(norm);
}

// This is one layer: a policy beside an exact one.
class ProbedPolicy final : public ForwardingPolicy {
 public:
  ProbedPolicy(AttentionProbe& probe, const CacheShape& shape, Backend& backend,
               std::unique_ptr<CachePolicy> subject,
               std::unique_ptr<CachePolicy> exact)
      : ForwardingPolicy(std::move(subject)),
        probe_(probe),
        shape_(shape),
        backend_(backend),
        exact_(std::move(exact)) {
    Forget(0);
  }

  void Attend(const LayerStep& step, const SoftmaxPartials& out) override;
  // What the policy would see if its own attention went on.
  void Observe(const LayerStep& step, Vector<const float>) override {
    inner().Observe(step, log_partition_);
  }
  void Append(const LayerStep& step) override {
    inner().Append(step);
    exact_->Append(step);
  }
  void EndStep() override {
    inner().EndStep();
    exact_->EndStep();
  }
  void Forget(int slot) override {
    inner().Forget(slot);
    exact_->Forget(slot);
    gram_.assign(shape_.kv_heads * shape_.head_dim * shape_.head_dim, 0.0);
  }
  absl::Status Load(int, absl::string_view) override {
    return absl::UnimplementedError("a measured cache cannot be resumed");
  }

 private:
  void AddValues(const LayerStep& step);
  // Computes |V|_op of each KV head.
  std::vector<double> OperatorNorms();
  void Compare(const LayerStep& step, const SoftmaxPartials& subject);
  void Add(int64_t head, const SoftmaxPartials& subject,
           const SoftmaxPartials& exact, double norm_p_v);

  AttentionProbe& probe_;
  const CacheShape shape_;
  Backend& backend_;
  std::unique_ptr<CachePolicy> exact_;
  std::vector<float> log_partition_;  // the subject's, of this step
  std::vector<double> gram_;          // V^T V of each KV head, of this rank
};

void ProbedPolicy::Attend(const LayerStep& step, const SoftmaxPartials& out) {
  SUBGEN_CHECK(step.chunks.size() == 1 && step.chunks[0].slot == 0);
  exact_->Attend(step, out);
  ReadByHost(backend_, Numbers(step.queries));
  ReadByHost(backend_, Numbers(step.values));
  AddValues(step);
  const SoftmaxPartials subject = probe_.Whole(inner(), step, probe_.subject_);
  log_partition_.resize(subject.rows());
  LogPartition(subject, log_partition_);
  const Chunk& chunk = step.chunks[0];
  if (chunk.position + chunk.count > probe_.measured_from_) {
    Compare(step, subject);
  }
}

void ProbedPolicy::AddValues(const LayerStep& step) {
  const int64_t dim = shape_.head_dim;
  for (int64_t row = 0; row < step.values.rows; ++row) {
    const Vector<const float> value = step.values.row(row);
    double* gram = gram_.data() + row / step.owned * dim * dim;
    for (int64_t i = 0; i < dim; ++i) {
      const double scale = value[i];
      for (int64_t j = 0; j < dim; ++j) gram[i * dim + j] += scale * value[j];
    }
  }
}

std::vector<double> ProbedPolicy::OperatorNorms() {
  std::vector<float> sums(gram_.begin(), gram_.end());
  probe_.grid_.tokens->AllReduce(sums, ReduceOp::kSum);
  const std::vector<double> whole(sums.begin(), sums.end());
  const int64_t size = shape_.head_dim * shape_.head_dim;
  std::vector<double> norms;
  for (int head = 0; head < shape_.kv_heads; ++head) {
    norms.push_back(
        OperatorNorm({whole.data() + head * size, static_cast<size_t>(size)},
                     shape_.head_dim));
  }
  return norms;
}

// Doubled queries have the logits of squared probabilities: |p|_2 = exp(
// log partition of the doubled / 2 - log partition).
void ProbedPolicy::Compare(const LayerStep& step,
                           const SoftmaxPartials& subject) {
  const SoftmaxPartials exact = probe_.Whole(*exact_, step, probe_.exact_);
  std::vector<float> twice(step.queries.rows * step.queries.cols);
  for (size_t i = 0; i < twice.size(); ++i) {
    twice[i] = 2.0f * step.queries.data[i];
  }
  LayerStep doubled = step;
  doubled.queries = {twice.data(), step.queries.rows, step.queries.cols};
  const SoftmaxPartials squared =
      probe_.Whole(*exact_, doubled, probe_.squared_);
  std::vector<float> log_sum(exact.rows()), log_squares(exact.rows());
  LogPartition(exact, log_sum);
  LogPartition(squared, log_squares);
  const std::vector<double> norms = OperatorNorms();
  if (shape_.token_shard != 0) return;  // its peers know the same

  const Chunk& chunk = step.chunks[0];
  const int64_t first = std::max<int64_t>(
      0, probe_.measured_from_ - chunk.position);  // token of the chunk
  for (int kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
    for (int64_t i = first * step.group; i < chunk.count * step.group; ++i) {
      const int64_t row = kv_head * step.tokens * step.group + i;
      const int64_t head =
          (shape_.first_kv_head + kv_head) * step.group + i % step.group;
      const double norm_p = std::exp(0.5 * log_squares[row] - log_sum[row]);
      Add(head, subject.Rows(row, 1), exact.Rows(row, 1),
          norm_p * norms[kv_head]);
    }
  }
}

void ProbedPolicy::Add(int64_t head, const SoftmaxPartials& subject,
                       const SoftmaxPartials& exact, double norm_p_v) {
  double difference = 0.0, length = 0.0;
  for (int64_t i = 0; i < shape_.head_dim; ++i) {
    const double a = exact.weighted.row(0)[i] / exact.partition[0];
    const double z = subject.weighted.row(0)[i] / subject.partition[0];
    difference += (z - a) * (z - a);
    length += a * a;
  }
  const int64_t i = shape_.layer * probe_.model_.query_heads + head;
  probe_.relative_[i] += static_cast<float>(std::sqrt(difference / length));
  probe_.of_bound_[i] += static_cast<float>(std::sqrt(difference) / norm_p_v);
  probe_.queries_[i] += 1.0f;
}

AttentionProbe::AttentionProbe(const ModelConfig& model,
                               const EngineConfig& config,
                               int64_t measured_from, RankGrid grid,
                               MergeMethod merge)
    : model_(model),
      measured_from_(measured_from),
      grid_(std::move(grid)),
      merger_(*grid_.tokens, merge, config.prefill_chunk * model.query_heads,
              model.head_dim),
      relative_(model.layers * model.query_heads),
      of_bound_(relative_.size()),
      queries_(relative_.size()) {
  const int64_t rows = config.prefill_chunk * model.query_heads;
  for (PartialsBuffer* buffer : {&subject_, &exact_, &squared_}) {
    *buffer = PartialsBuffer(rows, model.head_dim);
  }
}

absl::StatusOr<std::unique_ptr<AttentionProbe>> AttentionProbe::Make(
    const ModelConfig& model, const EngineConfig& config, int64_t measured_from,
    std::unique_ptr<Communicator> world) {
  const RanksConfig& ranks = config.ranks;
  ASSIGN_OR_RETURN(
      const GridShape shape,
      PlanGrid({ranks.head_shards, ranks.token_shards, ranks.token_block},
               world->size(), model.kv_heads));
  ASSIGN_OR_RETURN(const MergeMethod merge, ParseMergeMethod(ranks.merge));
  return std::unique_ptr<AttentionProbe>(new AttentionProbe(
      model, config, measured_from, MakeGrid(shape, std::move(world)), merge));
}

PolicyFactory AttentionProbe::Factory() {
  return [this](
             const CacheConfig& config, const CacheShape& shape,
             StepWork& work) -> absl::StatusOr<std::unique_ptr<CachePolicy>> {
    CacheConfig exact_config = config;
    exact_config.policy = "exact";
    exact_config.row_format = "f32";
    ASSIGN_OR_RETURN(auto subject, MakeCachePolicy(config, shape, work));
    ASSIGN_OR_RETURN(auto exact, MakeCachePolicy(exact_config, shape, work));
    return std::make_unique<ProbedPolicy>(*this, shape, work.backend(),
                                          std::move(subject), std::move(exact));
  };
}

SoftmaxPartials AttentionProbe::Whole(CachePolicy& policy,
                                      const LayerStep& step,
                                      PartialsBuffer& buffer) {
  const SoftmaxPartials partials = buffer.Resize(step.queries.rows);
  policy.Attend(step, partials);
  merger_.Merge(buffer);
  return partials;
}

AttentionErrors AttentionProbe::Gather() {
  AttentionErrors errors;
  for (auto* sums : {&relative_, &of_bound_, &queries_}) {
    grid_.world->AllReduce(*sums, ReduceOp::kSum);
  }
  for (size_t i = 0; i < queries_.size(); ++i) {
    errors.relative.push_back(relative_[i] / queries_[i]);
    errors.of_bound.push_back(of_bound_[i] / queries_[i]);
  }
  return errors;
}

}  // namespace subgen
