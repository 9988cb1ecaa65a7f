// A uniform sample of the tokens that left the window: reservoir sampling
// (Vitter 1985, Algorithm R). Rows count as one token each.
#include "engine/cache/draws.h"
#include "engine/cache/policies.h"

namespace subgen {
namespace {

class UniformSketch final : public Sketch {
 public:
  explicit UniformSketch(const SketchPlace& place)
      : place_(place), limit_(place.rows), store_(place.layout, limit_) {}

  void Insert(const LeavingTokens& tokens, Matrix<const float>) override {
    for (int64_t i = 0; i < tokens.count(); ++i) {
      ++entered_;
      int64_t row = store_.size();
      if (row == limit_) {
        row = static_cast<int64_t>(Draws(place_, tokens.positions[i]).Next() *
                                   static_cast<double>(entered_));
      }
      if (row < limit_) store_.Set(row, tokens.row(i));
    }
  }

  void SetLimit(int64_t rows) override {
    Draws draws(place_, -1 - entered_);  // no token's position
    while (store_.size() > rows) {
      store_.Remove(static_cast<int64_t>(draws.Next() *
                                         static_cast<double>(store_.size())));
    }
    limit_ = rows;
    store_.SetLimit(rows);
  }

  void AddRows(std::vector<WeightedRows>* out) const override {
    out->push_back(store_.View());
  }
  int64_t rows() const override { return store_.size(); }
  int64_t bytes() const override { return store_.bytes(); }

  void Save(ByteWriter* out) const override { store_.Save(out); }
  absl::Status Load(ByteReader* in, int64_t entered) override {
    entered_ = entered;
    RETURN_IF_ERROR(store_.Load(in));
    return CheckSaved(store_.size() == std::min(entered, limit_),
                      "the number of samples");
  }

 private:
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
