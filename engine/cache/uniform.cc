// A uniform sample of the tokens that left the window: reservoir sampling
// (Vitter 1985, Algorithm R). Rows count as one token each. Which rows go where
// is a matter of positions alone, so the backend moves them where they lie.
#include <algorithm>
#include <numeric>

#include "engine/cache/policies.h"
#include "kernels/base/draws.h"

namespace subgen {
namespace {

class UniformSketch final : public Sketch {
 public:
  explicit UniformSketch(const SketchPlace& place)
      : place_(place), limit_(place.rows), store_(place.layout, limit_) {}

  bool ReadsTokens() const override { return false; }
  void Insert(const LeavingTokens&, Matrix<const float>) override {}
  void AddRowCopies(const LeavingTokens& tokens,
                    std::vector<RowCopy>* copies) override {
    const std::vector<int64_t> rows = Choose(tokens.positions);
    store_.Resize(std::min(store_.size() + tokens.count(), limit_));
    for (int64_t i = 0; i < tokens.count(); ++i) {
      // None where it is not kept: as many copies at each step.
      const int64_t count = rows[i] >= 0 ? 1 : 0;
      const MutableRow to = store_.place(std::max<int64_t>(rows[i], 0));
      Rows key = tokens.keys, value = tokens.values;
      key.data = key.row(i);
      value.data = value.row(i);
      key.count = value.count = count;
      copies->push_back({key, key.format, to.key});
      copies->push_back({value, value.format, to.value});
    }
  }

  void SetLimit(int64_t rows) override {
    Draws draws(place_.random(), -1 - entered_);  // no token's position
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
    if (!copies.empty()) place_.backend->ConvertRows(copies);
    store_.Resize(from.size());
    limit_ = rows;
    store_.SetLimit(rows);
  }

  void AddRows(std::vector<WeightedRows>* out) const override {
    out->push_back(store_.View());
  }
  int64_t rows() const override { return store_.size(); }
  ByteUse bytes() const override { return store_.bytes(); }

  void Save(ByteWriter* out) const override { store_.Save(out); }
  absl::Status Load(ByteReader* in, int64_t entered) override {
    entered_ = entered;
    RETURN_IF_ERROR(store_.Load(in));
    return CheckSaved(store_.size() == std::min(entered, limit_),
                      "the number of samples");
  }

 private:
  // The row of each token, -1 where it has none in the end.
  std::vector<int64_t> Choose(Vector<const int64_t> positions) {
    std::vector<int64_t> rows;
    for (const int64_t position : positions) {
      ++entered_;
      int64_t row = store_.size() + static_cast<int64_t>(rows.size());
      if (row >= limit_) {
        row = static_cast<int64_t>(Draws(place_.random(), position).Next() *
                                   static_cast<double>(entered_));
      }
      if (row >= limit_) row = -1;
      if (row >= 0) std::replace(rows.begin(), rows.end(), row, int64_t{-1});
      rows.push_back(row);
    }
    return rows;
  }

  SketchPlace place_;
  int64_t limit_;
  int64_t entered_ = 0;
  RowStore store_;
};

}  // namespace

MadePolicy MakeUniform(const PolicySetup& setup) {
  SketchPolicyOptions options = setup.Options("uniform");
  options.make_sketch = [](const SketchPlace& place) {
    return std::make_unique<UniformSketch>(place);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
