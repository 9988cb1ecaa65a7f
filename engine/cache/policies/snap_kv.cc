// SnapKV (Li et al., arXiv 2404.14469) keeps the tokens that the last queries
// attend to. It is query-aware: what is kept of a prompt depends on the
// question at its end.
//   score = sum over the last queries, and over the query heads of the group,
//           of their attention probability; then a mean over 5 neighbors.
//   once:   as published, the best of the whole prompt stay. Published SnapKV
//           keeps all later tokens; memory is bounded here, and they go on as
//           `stream`.
//   stream: where all rows are taken, the queries of that time choose again and
//           the worst go, as many as one leaving batch at once.
#include <algorithm>

#include "engine/cache/policies/best_rows.h"
#include "engine/cache/policies/query_ring.h"
#include "engine/cache/policy_entry.h"
#include "engine/cache/sketch_of_heads.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

struct SnapKvOptions {
  int64_t tokens = 0;  // whose queries choose
  int group = 1;
};

// Returns means over 5 rows, those beyond the ends being zero.
std::vector<double> Pool(const std::vector<float>& mass) {
  constexpr int64_t kReach = 2;
  const int64_t rows = mass.size();
  std::vector<double> pooled(rows);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t end = std::min(rows, i + kReach + 1);
    for (int64_t j = std::max<int64_t>(0, i - kReach); j < end; ++j) {
      pooled[i] += mass[j] / (2.0 * kReach + 1.0);
    }
  }
  return pooled;
}

class SnapKvHead {
 public:
  SnapKvHead(const HeadPlace& place, const SnapKvOptions& options)
      : backend_(*place.backend),
        limit_(place.rows),
        store_(place.layout, place.rows),
        queries_(options.tokens, options.group, place.layout.head_dim) {}

  void Observe(Matrix<const float> queries, Vector<const float> log_partition) {
    queries_.Push(queries, log_partition);
  }
  void Insert(const LeavingTokens& tokens, RowOps&) {
    // To choose is to read all rows and queries, so room for a batch is made at
    // once and choosing is rare.
    constexpr int64_t kBatch = 32;
    const int64_t keep = limit_ - std::min(kBatch, (limit_ + 1) / 2);
    tokens.ReadByHost(backend_.mirror());
    for (int64_t i = 0; i < tokens.count(); ++i) {
      if (store_.size() == limit_) Keep(keep);
      store_.Set(store_.size(), tokens.row(i));
    }
  }
  void InsertPrompt(const LeavingTokens& tokens, RowOps&) {
    tokens.ReadByHost(backend_.mirror());
    for (const int64_t best : Best(tokens.keys, limit_)) {
      store_.Set(store_.size(), tokens.row(best));
    }
  }
  void SetLimit(int64_t rows, RowOps&) {
    Keep(rows);
    limit_ = rows;
    store_.SetLimit(rows);
  }

  void AddRows(std::vector<WeightedRows>* out) const {
    out->push_back(store_.View());
  }
  SketchSize size() const {
    return {store_.size(), store_.bytes() + queries_.bytes()};
  }
  void Save(ByteWriter* out) const {
    store_.Save(out);
    queries_.Save(out);
  }
  absl::Status Load(ByteReader* in, int64_t entered) {
    RETURN_IF_ERROR(store_.Load(in));
    RETURN_IF_ERROR(queries_.Load(in));
    // How many rows are held depends on when they were last chosen, so only a
    // bound is known.
    return CheckSaved(store_.size() <= entered, "the number of rows");
  }

 private:
  // Returns the rows that the last queries attend to most, ascending.
  std::vector<int64_t> Best(const Rows& keys, int64_t count) const {
    std::vector<float> mass(keys.count);
    queries_.AccumulateMass(keys, mass, backend_);
    return BestRows(Pool(mass), count);
  }
  void Keep(int64_t count) {
    if (store_.size() <= count) return;
    int64_t row = 0;
    for (const int64_t best : Best(store_.View().keys, count)) {
      store_.Set(row++, store_.row(best));
    }
    store_.Resize(count);
  }

  Backend& backend_;
  int64_t limit_;
  RowStore store_;  // ascending in position
  QueryRing queries_;
};

SnapKvOptions OptionsOf(const CacheConfig& config, int group) {
  return {QueryRing::Tokens(config.recent_tokens), group};
}

PolicyCosts Costs(const CacheConfig& config, const CacheShape& shape,
                  RowLayout layout) {
  const int64_t tokens = OptionsOf(config, shape.group).tokens;
  return {2 * layout.Exact().row_bytes(), 2 * layout.row_bytes(),
          QueryRing::Bytes(tokens, shape.group, shape.head_dim)};
}

SketchMaker Make(const PolicySetup& setup) {
  const SnapKvOptions options = OptionsOf(setup.config, setup.shape.group);
  return [options](const SketchPlace& place) {
    return std::make_unique<SketchOfHeads<SnapKvHead>>(place, options);
  };
}

}  // namespace

extern const PolicyEntry kSnapKv = {
    .name = "snap_kv",
    .source = "SnapKV (Li et al., arXiv 2404.14469)",
    .help = "tokens that the last queries attend to",
    .needs = Needs::kQueries,
    .head_budgets =
        [](const CacheConfig&) { return HeadBudgets::kEqualByDefault; },
    .costs = Costs,
    .make = Make};

}  // namespace subgen
