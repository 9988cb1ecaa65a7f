// This is the smallest cache policy with rows of its own: a ring of the last
// tokens that left the window. It is written and added as a user would
// (engine/README.md), for tests of what a new policy must have touched.
#pragma once

#include <algorithm>

#include "engine/cache/policy_entry.h"
#include "engine/cache/policy_table.h"
#include "engine/cache/sketch_of_heads.h"
#include "kernels/base/status_macros.h"

namespace subgen {

class RingHead {
 public:
  explicit RingHead(const HeadPlace& place)
      : limit_(place.rows), store_(place.layout, place.rows) {}

  void Insert(const LeavingTokens& tokens, RowOps& ops) {
    const int64_t first = std::max<int64_t>(0, tokens.count() - limit_);
    store_.Resize(std::min(entered_ + tokens.count(), limit_));
    std::vector<RowCopy> copies;
    for (int64_t i = first; i < tokens.count(); ++i) {
      tokens.AddCopies(i, 1, store_.place((entered_ + i) % limit_), &copies);
    }
    entered_ += tokens.count();
    ops.ConvertRows(copies);
  }
  void SetLimit(int64_t rows, RowOps& ops) {
    limit_ = rows;
    ops.After([this, rows] {
      store_.Resize(std::min(rows, store_.size()));
      store_.SetLimit(rows);
    });
  }
  void AddRows(std::vector<WeightedRows>* out) const {
    out->push_back(store_.View());
  }
  SketchSize size() const { return {store_.size(), store_.bytes()}; }
  void Save(ByteWriter* out) const { store_.Save(out); }
  absl::Status Load(ByteReader* in, int64_t entered) {
    entered_ = entered;
    RETURN_IF_ERROR(store_.Load(in));
    return CheckSaved(store_.size() == std::min(entered, limit_), "the ring");
  }

 private:
  int64_t limit_;
  RowStore store_;
  int64_t entered_ = 0;
};

inline constexpr PolicyEntry kRing = {
    .name = "ring",
    .source = "tests/support/ring_policy.h",
    .help = "the last tokens that left the window",
    .head_budgets =
        [](const CacheConfig&) { return HeadBudgets::kEqualByDefault; },
    .make = [](const PolicySetup&) -> SketchMaker {
      return [](const SketchPlace& place) {
        return std::make_unique<SketchOfHeads<RingHead>>(place);
      };
    }};

// Call it before the first engine or policy; more often does no harm.
inline void AddRing() {
  if (FindPolicy(kRing.name) == nullptr) AddPolicy(kRing);
}

}  // namespace subgen
