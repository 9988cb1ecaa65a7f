// H2O (Zhang et al., arXiv 2306.14048): of the tokens that left the window,
// those with the largest attention probability summed over all queries so far
// and over the query heads of the group. Greedy: what is dropped is gone.
#include "engine/cache/policies.h"

namespace subgen {
namespace {

class HeavyHitterSketch final : public Sketch {
 public:
  explicit HeavyHitterSketch(const SketchPlace& place)
      : limit_(place.rows),
        store_(place.layout, limit_),
        scores_(limit_),
        positions_(limit_) {}

  void Insert(const LeavingTokens& tokens, Matrix<const float>) override {
    for (int64_t i = 0; i < tokens.count(); ++i) {
      const int32_t position = static_cast<int32_t>(tokens.positions[i]);
      int64_t row = store_.size();
      if (row < limit_) {
        scores_.Resize(row + 1);
        positions_.Resize(row + 1);
      } else {
        // Of equal scores the older token goes: the new one is the youngest.
        row = Lowest();
        if (tokens.scores[i] < scores_[row]) continue;
      }
      store_.Set(row, tokens.row(i));
      scores_[row] = tokens.scores[i];
      positions_[row] = position;
    }
  }

  void SetLimit(int64_t rows) override {
    while (store_.size() > rows) {
      const int64_t lowest = Lowest(), last = store_.size() - 1;
      store_.Remove(lowest);
      scores_[lowest] = scores_[last];
      positions_[lowest] = positions_[last];
      scores_.Resize(last);
      positions_.Resize(last);
    }
    limit_ = rows;
    store_.SetLimit(rows);
    scores_.SetLimit(rows);
    positions_.SetLimit(rows);
  }

  void AddRows(std::vector<WeightedRows>* out) const override {
    out->push_back(store_.View());
  }
  Vector<float> Scores() override { return scores_.span(); }
  int64_t rows() const override { return store_.size(); }
  int64_t bytes() const override {
    return store_.bytes() + scores_.bytes() + positions_.bytes();
  }

  void Save(ByteWriter* out) const override {
    store_.Save(out);
    scores_.Save(out);
    positions_.Save(out);
  }
  absl::Status Load(ByteReader* in, int64_t entered) override {
    RETURN_IF_ERROR(store_.Load(in));
    RETURN_IF_ERROR(scores_.Load(in));
    RETURN_IF_ERROR(positions_.Load(in));
    const int64_t rows = std::min(entered, limit_);
    return CheckSaved(store_.size() == rows && scores_.size() == rows &&
                          positions_.size() == rows,
                      "the number of heavy hitters");
  }

 private:
  int64_t Lowest() const {
    int64_t lowest = 0;
    for (int64_t i = 1; i < store_.size(); ++i) {
      if (scores_[i] > scores_[lowest]) continue;
      if (scores_[i] < scores_[lowest] || positions_[i] < positions_[lowest]) {
        lowest = i;
      }
    }
    return lowest;
  }

  int64_t limit_;
  RowStore store_;
  Column<float> scores_;
  Column<int32_t> positions_;
};

}  // namespace

MadePolicy MakeHeavyHitter(const PolicySetup& setup) {
  SketchPolicyOptions options = setup.Options("heavy_hitter");
  options.plan.window.scored = true;
  options.make_sketch = [](const SketchPlace& place) {
    return std::make_unique<HeavyHitterSketch>(place);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
