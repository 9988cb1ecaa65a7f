// SnapKV (Li et al., arXiv 2404.14469): the tokens that the last queries attend
// to. Query-aware: what is kept of a prompt depends on the question at its end.
//   score = sum over the last queries, and over the query heads of the group,
//           of their attention probability; then a mean over 5 neighbors.
//   once:   as published: of the whole prompt, the best stay. Published SnapKV
//           keeps all later tokens; memory is bounded here, and they go on as
//           `stream`.
//   stream: where all rows are taken, the queries of that time choose again and
//           the worst go, as many as one leaving batch at once.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/cache/best_rows.h"
#include "engine/cache/policies.h"
#include "engine/cache/query_ring.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

struct SnapKvOptions {
  int64_t tokens = 0;  // whose queries choose
  int group = 1;
};

// Means over 5 rows, those beyond the ends being zero.
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

class SnapKvSketch final : public Sketch {
 public:
  SnapKvSketch(const SketchPlace& place, const SnapKvOptions& options)
      : place_(place),
        options_(options),
        store_(place.layout, place.rows),
        queries_(options.tokens, options.group, place.layout.head_dim) {}

  void Observe(Matrix<const float> queries,
               Vector<const float> log_partition) override {
    queries_.Push(queries, log_partition);
  }
  void Insert(const LeavingTokens& tokens, Matrix<const float>) override {
    // Leaves room for a batch, so that choosing is rare.
    const int64_t limit = place_.rows;
    const int64_t keep = limit - std::min(kMostTokens, (limit + 1) / 2);
    for (int64_t i = 0; i < tokens.count(); ++i) {
      if (store_.size() == limit) Keep(keep);
      store_.Set(store_.size(), tokens.row(i));
    }
  }
  void InsertPrompt(const LeavingTokens& tokens, Backend& backend) override {
    for (const int64_t best : Best(tokens.keys, place_.rows, backend)) {
      store_.Set(store_.size(), tokens.row(best));
    }
  }

  void SetLimit(int64_t rows) override {
    Keep(rows);
    place_.rows = rows;
    store_.SetLimit(rows);
  }

  void AddRows(std::vector<WeightedRows>* out) const override {
    out->push_back(store_.View());
  }
  int64_t rows() const override { return store_.size(); }
  ByteUse bytes() const override { return store_.bytes() + queries_.bytes(); }

  void Save(ByteWriter* out) const override {
    store_.Save(out);
    queries_.Save(out);
  }
  absl::Status Load(ByteReader* in, int64_t entered) override {
    RETURN_IF_ERROR(store_.Load(in));
    RETURN_IF_ERROR(queries_.Load(in));
    return CheckSaved(store_.size() <= entered, "the number of rows");
  }

 private:
  // The rows that the last queries attend to most, ascending.
  std::vector<int64_t> Best(const Rows& keys, int64_t count,
                            Backend& backend) const {
    std::vector<float> mass(keys.count);
    queries_.AccumulateMass(keys, mass, backend);
    return BestRows(Pool(mass), count);
  }
  void Keep(int64_t count) {
    if (store_.size() <= count) return;
    int64_t row = 0;
    for (const int64_t best :
         Best(store_.View().keys, count, *place_.backend)) {
      store_.Set(row++, store_.row(best));
    }
    store_.Resize(count);
  }

  SketchPlace place_;
  SnapKvOptions options_;
  RowStore store_;  // ascending in position
  QueryRing queries_;
};

}  // namespace

MadePolicy MakeSnapKv(const PolicySetup& setup) {
  const SnapKvOptions snap_kv = {QueryRing::Tokens(setup.config.recent_tokens),
                                 setup.shape.group};
  SketchPolicyOptions options = setup.Options("snap_kv");
  options.reads_queries = true;
  options.make_sketch = [snap_kv](const SketchPlace& place) {
    return std::make_unique<SnapKvSketch>(place, snap_kv);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
