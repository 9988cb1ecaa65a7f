// This keeps a uniform sample of the tokens that left the window: reservoir
// sampling (Vitter 1985, Algorithm R). Rows count as one token each. Which rows
// go where is a matter of positions alone, so the backend moves them where they
// lie.
#include <algorithm>
#include <numeric>

#include "engine/cache/policy_entry.h"
#include "engine/cache/sketch_of_heads.h"
#include "kernels/base/draws.h"

namespace subgen {
namespace {

class UniformHead {
 public:
  explicit UniformHead(const HeadPlace& place)
      : random_(place.random),
        limit_(place.rows),
        store_(place.layout, limit_) {}

  void Insert(const LeavingTokens& tokens, RowOps& ops) {
    const std::vector<int64_t> rows = Choose(tokens.positions);
    store_.Resize(std::min(store_.size() + tokens.count(), limit_));
    std::vector<RowCopy> copies;
    for (int64_t i = 0; i < tokens.count(); ++i) {
      // A token that is not kept is a copy of no rows: a device is then asked
      // for the same at each step, whatever was drawn.
      tokens.AddCopies(i, rows[i] >= 0 ? 1 : 0,
                       store_.place(std::max<int64_t>(rows[i], 0)), &copies);
    }
    ops.ConvertRows(copies);
  }

  void SetLimit(int64_t rows, RowOps& ops) {
    Draws draws(random_, -1 - entered_);  // no token's position
    std::vector<int64_t> from(store_.size());
    std::iota(from.begin(), from.end(), int64_t{0});
    while (static_cast<int64_t>(from.size()) > rows) {
      from[static_cast<int64_t>(
          draws.Next() * static_cast<double>(from.size()))] = from.back();
      from.pop_back();
    }
    // What moves comes from behind the limit, so no copy reads another's row.
    std::vector<RowCopy> copies;
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i] == static_cast<int64_t>(i)) continue;
      const WeightedRows row = store_.View(from[i], 1);
      copies.push_back({row.keys, row.keys.format, store_.place(i).key});
      copies.push_back({row.values, row.values.format, store_.place(i).value});
    }
    if (!copies.empty()) ops.ConvertRows(copies);
    limit_ = rows;
    ops.After([this, rows, kept = static_cast<int64_t>(from.size())] {
      store_.Resize(kept);
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
    return CheckSaved(store_.size() == std::min(entered, limit_),
                      "the number of samples");
  }

 private:
  // Returns the row of each token, -1 where it has none in the end.
  std::vector<int64_t> Choose(Vector<const int64_t> positions) {
    std::vector<int64_t> rows;
    for (const int64_t position : positions) {
      ++entered_;
      int64_t row = store_.size() + static_cast<int64_t>(rows.size());
      if (row >= limit_) {
        row = static_cast<int64_t>(Draws(random_, position).Next() *
                                   static_cast<double>(entered_));
      }
      if (row >= limit_) row = -1;
      // Of several tokens for one row the last one stays, as if they had come
      // in calls of their own; the others are not copied.
      if (row >= 0) std::replace(rows.begin(), rows.end(), row, int64_t{-1});
      rows.push_back(row);
    }
    return rows;
  }

  RandomPlace random_;
  int64_t limit_;
  int64_t entered_ = 0;
  RowStore store_;
};

SketchMaker Make(const PolicySetup&) {
  return [](const SketchPlace& place) {
    return std::make_unique<SketchOfHeads<UniformHead>>(place);
  };
}

}  // namespace

extern const PolicyEntry kUniform = {
    .name = "uniform",
    .source = "reservoir sampling (Vitter 1985, Algorithm R)",
    .help = "tokens drawn at random",
    .head_budgets =
        [](const CacheConfig&) { return HeadBudgets::kEqualByDefault; },
    .make = Make};

}  // namespace subgen
