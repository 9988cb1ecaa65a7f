// The probe measures how far a cache policy's attention is from exact
// attention, for each layer and query head. The model goes on with the exact
// output, so that every policy is measured on the same queries, keys and
// values.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/partial_merge.h"
#include "comm/rank_grid.h"
#include "engine/cache/cache_policy.h"
#include "engine/model/model_config.h"

namespace subgen {

// These are means over the measured queries, [layers * query heads]. z is the
// policy's attention output, a the exact one, p are the exact probabilities,
// and V are all values up to the end of the query's chunk.
struct AttentionErrors {
  std::vector<double> relative;  // |z - a| / |a|
  // |z - a| / (|p|_2 |V|_op): at most epsilon with SubGen's Algorithm 1 (arXiv
  // 2402.06082, theorem 1).
  std::vector<double> of_bound;
};

class AttentionProbe {
 public:
  // Queries from this position on are measured. `world` has the engine's ranks.
  static absl::StatusOr<std::unique_ptr<AttentionProbe>> Make(
      const ModelConfig& model, const EngineConfig& config,
      int64_t measured_from, std::unique_ptr<Communicator> world);

  // Makes the policies of one engine with one slot, which the probe outlives.
  PolicyFactory Factory();
  // Returns what the engine's policies saw, on every rank. Collective.
  AttentionErrors Gather();

 private:
  friend class ProbedPolicy;
  AttentionProbe(const ModelConfig& model, const EngineConfig& config,
                 int64_t measured_from, RankGrid grid, MergeMethod merge);
  // Computes the policy's attention, over all token shards.
  SoftmaxPartials Whole(CachePolicy& policy, const LayerStep& step,
                        PartialsBuffer& buffer);

  const ModelConfig& model_;
  const int64_t measured_from_;
  RankGrid grid_;
  PartialMerger merger_;
  PartialsBuffer subject_, exact_, squared_;
  // These are sums over queries, [layers * query heads], and zero for heads of
  // other ranks.
  std::vector<float> relative_, of_bound_, queries_;
};

// Returns the largest singular value of V, from its Gram matrix V^T V [dim *
// dim], by power iteration.
double OperatorNorm(Vector<const double> gram, int64_t dim);

}  // namespace subgen
