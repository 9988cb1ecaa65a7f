// H2O (Zhang et al., arXiv 2306.14048): of the tokens that left the window,
// those with the largest attention probability summed over all queries so far
// and over the query heads of the group. Greedy: what is dropped is gone.
#include "engine/cache/policies.h"

namespace subgen {
namespace {

class HeavyHitterSketch final : public Sketch {
 public:
  explicit HeavyHitterSketch(const SketchPlace& place)
      : place_(place),
        limit_(place.rows),
        store_(place.layout, limit_),
        scores_(limit_, 1, 64, place.layout.mirror),
        positions_(limit_, 1, 64, place.layout.mirror) {}

  // All is left to the backend.
  void Insert(const LeavingTokens&, Matrix<const float>) override {}
  void AddTasks(const LeavingTokens& tokens, SketchTasks* tasks) override {
    KeepBestTask task = Task();
    Resize(std::min(store_.size() + tokens.count(), limit_));
    SetArrays(&task);
    task.token_keys = tokens.keys;
    task.token_values = tokens.values;
    task.token_scores = tokens.scores;
    task.token_positions = tokens.positions;
    tasks->scored.push_back(task);
  }
  void InsertPrompt(const LeavingTokens& tokens, Backend& backend) override {
    SketchTasks tasks;
    AddTasks(tokens, &tasks);
    backend.KeepBest(tasks.scored);
  }

  void SetLimit(int64_t rows) override {
    limit_ = rows;
    if (store_.size() > rows) {
      KeepBestTask task = Task();
      SetArrays(&task);
      place_.backend->KeepBest({&task, 1});
      Resize(rows);
    }
    store_.SetLimit(rows);
    scores_.SetLimit(rows);
    positions_.SetLimit(rows);
  }

  void AddRows(std::vector<WeightedRows>* out) const override {
    out->push_back(store_.View());
  }
  Vector<float> Scores() override { return scores_.span(); }
  int64_t rows() const override { return store_.size(); }
  ByteUse bytes() const override {
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
  // Of what is held now, and no tokens.
  KeepBestTask Task() const {
    KeepBestTask task;
    task.held = store_.size();
    task.limit = limit_;
    const RowLayout& layout = place_.layout;
    task.token_keys = {layout.format, nullptr, 0, layout.head_dim};
    task.token_values = task.token_keys;
    return task;
  }
  void SetArrays(KeepBestTask* task) {
    task->keys = store_.keys();
    task->values = store_.values();
    task->scores = scores_.span();
    task->positions = positions_.span();
  }
  void Resize(int64_t rows) {
    store_.Resize(rows);
    scores_.Resize(rows);
    positions_.Resize(rows);
  }

  SketchPlace place_;
  int64_t limit_;
  RowStore store_;
  Column<float> scores_;
  Column<int32_t> positions_;
};

}  // namespace

MadePolicy MakeHeavyHitter(const PolicySetup& setup) {
  SketchPolicyOptions options = setup.Options("heavy_hitter");
  options.plan.window.scored = true;
  options.leaves_tokens = true;
  options.make_sketch = [](const SketchPlace& place) {
    return std::make_unique<HeavyHitterSketch>(place);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
