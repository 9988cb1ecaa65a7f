// H2O (Zhang et al., arXiv 2306.14048) keeps, of the tokens that left the
// window, those with the largest attention probability summed over all queries
// so far and over the query heads of the group. It is greedy: what is dropped
// is gone.
#include <algorithm>

#include "engine/cache/policy_entry.h"
#include "engine/cache/sketch_of_heads.h"

namespace subgen {
namespace {

class HeavyHitterHead {
 public:
  explicit HeavyHitterHead(const HeadPlace& place)
      : layout_(place.layout),
        limit_(place.rows),
        store_(place.layout, limit_),
        scores_(limit_, 1, 64, place.layout.mirror),
        positions_(limit_, 1, 64, place.layout.mirror) {}

  void Insert(const LeavingTokens& tokens, RowOps& ops) {
    KeepBestTask task = Task();
    // The task names the rows held before; its arrays have room for the new
    // ones, and their addresses are taken after they have grown.
    Resize(std::min(store_.size() + tokens.count(), limit_));
    SetArrays(&task);
    task.token_keys = tokens.keys;
    task.token_values = tokens.values;
    task.token_scores = tokens.scores;
    task.token_positions = tokens.positions;
    ops.KeepBest({&task, 1});
  }
  void SetLimit(int64_t rows, RowOps& ops) {
    limit_ = rows;
    if (store_.size() > rows) {
      KeepBestTask task = Task();
      SetArrays(&task);
      ops.KeepBest({&task, 1});
    }
    // The rows behind the limit go only when the backend has chosen among them.
    ops.After([this, rows] {
      Resize(std::min(rows, store_.size()));
      SetLimitOfAll(rows, &store_, &scores_, &positions_);
    });
  }

  void AddRows(std::vector<WeightedRows>* out) const {
    out->push_back(store_.View());
  }
  Vector<float> Scores() { return scores_.span(); }
  SketchSize size() const {
    return {store_.size(), BytesOf(store_, scores_, positions_)};
  }
  void Save(ByteWriter* out) const {
    SaveAll(out, store_, scores_, positions_);
  }
  absl::Status Load(ByteReader* in, int64_t entered) {
    RETURN_IF_ERROR(LoadAll(in, &store_, &scores_, &positions_));
    const int64_t rows = std::min(entered, limit_);
    // How many rows are held follows from how many tokens came.
    return CheckSaved(store_.size() == rows && scores_.size() == rows &&
                          positions_.size() == rows,
                      "the number of heavy hitters");
  }

 private:
  // Makes a task of what is held now, and no tokens.
  KeepBestTask Task() const {
    KeepBestTask task;
    task.held = store_.size();
    task.limit = limit_;
    task.token_keys = {layout_.format, nullptr, 0, layout_.head_dim};
    task.token_values = task.token_keys;
    return task;
  }
  void SetArrays(KeepBestTask* task) {
    task->keys = store_.keys();
    task->values = store_.values();
    task->scores = scores_.span();
    task->positions = positions_.span();
  }
  void Resize(int64_t rows) { ResizeAll(rows, &store_, &scores_, &positions_); }

  RowLayout layout_;
  int64_t limit_;
  RowStore store_;
  Column<float> scores_;
  Column<int32_t> positions_;
};

PolicyCosts Costs(const CacheConfig&, const CacheShape&, RowLayout layout) {
  constexpr int64_t kScoreAndPosition = sizeof(float) + sizeof(int32_t);
  return {2 * layout.Exact().row_bytes() + kScoreAndPosition,
          2 * layout.row_bytes() + kScoreAndPosition, 0};
}

SketchMaker Make(const PolicySetup&) {
  return [](const SketchPlace& place) {
    return std::make_unique<SketchOfHeads<HeavyHitterHead>>(place);
  };
}

}  // namespace

extern const PolicyEntry kHeavyHitter = {
    .name = "heavy_hitter",
    .source = "H2O (Zhang et al., arXiv 2306.14048)",
    .help = "tokens that gathered most attention",
    .needs = Needs::kScores,
    .defers = true,
    .head_budgets =
        [](const CacheConfig&) { return HeadBudgets::kEqualByDefault; },
    .costs = Costs,
    .make = Make};

}  // namespace subgen
