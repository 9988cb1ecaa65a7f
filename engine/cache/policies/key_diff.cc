// KeyDiff (Park et al., arXiv 2504.15364) keeps, of the tokens that left the
// window, those whose keys point least along the mean of the unit keys,
//   score = -cos(key, mean).
// It needs no queries. The mean is over all tokens that left, kept or not (in
// the paper it is over those kept).
//   once:   of the whole prompt, the best stay.
//   stream: where all rows are taken, a token that leaves the window joins
//           them and the worst goes. This costs O(k d) per token.
// Sums stand for means, as a common factor changes no order. Each row keeps its
// alignment, unit key . sum of unit keys, to which each token adds its cosine.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/cache/policies/best_rows.h"
#include "engine/cache/policy_entry.h"
#include "engine/cache/sketch_of_heads.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

class KeyDiffHead {
 public:
  explicit KeyDiffHead(const HeadPlace& place)
      : layout_(place.layout),
        limit_(place.rows),
        store_(place.layout, limit_),
        norms_(limit_),
        alignments_(limit_),
        sum_(place.layout.head_dim) {
    sum_.Resize(place.layout.head_dim);
  }

  void Insert(const LeavingTokens& tokens, RowOps& ops);
  void InsertPrompt(const LeavingTokens& tokens, RowOps& ops);
  void SetLimit(int64_t rows, RowOps& ops);

  void AddRows(std::vector<WeightedRows>* out) const {
    out->push_back(store_.View());
  }
  SketchSize size() const {
    return {store_.size(), BytesOf(store_, norms_, alignments_, sum_)};
  }
  void Save(ByteWriter* out) const;
  absl::Status Load(ByteReader* in, int64_t entered);

 private:
  struct Key {
    std::vector<float> row;  // [head_dim]
    float norm = 0.0f;       // 0: points nowhere
  };

  bool Overflows(int64_t tokens) const {
    return store_.size() + tokens > limit_;
  }
  Key Decode(const std::byte* encoded) const;
  void SetRow(int64_t i, EncodedRow row, float norm);
  void AddToSum(const Key& key);
  double Alignment(const Key& key) const;
  // Returns the alignment of every row, from the sum.
  std::vector<double> Alignments() const;
  // Adds the token's cosines, at squared distances [limit] from the rows; then
  // the most aligned goes. Returns the row that the token took, or limit_.
  int64_t Exchange(EncodedRow token, const Key& key,
                   Vector<const float> squared);

  // Asks for the squared distances of token i, into row i of squared_: to the
  // rows held, then to the tokens before it.
  void AskForDistances(const LeavingTokens& tokens, RowOps& ops);
  // Takes the tokens in when the distances are there.
  void Take(const LeavingTokens& tokens);

  RowLayout layout_;
  int64_t limit_;
  RowStore store_;
  Column<float> norms_;        // |key|, as Key::norm
  Column<double> alignments_;  // empty until the rows first overflow
  Column<double> sum_;         // [head_dim], of unit keys
  // These are of the tokens at hand: keys as floats, and their distances. They
  // are members as the backend writes them after Insert has returned.
  std::vector<float> points_, squared_;
};

KeyDiffHead::Key KeyDiffHead::Decode(const std::byte* encoded) const {
  Key key;
  key.row.resize(layout_.head_dim);
  DecodeRow(layout_.format, encoded, key.row);
  double squared = 0.0;
  for (const float x : key.row) squared += static_cast<double>(x) * x;
  const float norm = static_cast<float>(std::sqrt(squared));
  if (std::isfinite(norm)) key.norm = norm;
  return key;
}

void KeyDiffHead::SetRow(int64_t i, EncodedRow row, float norm) {
  if (i == store_.size()) norms_.Resize(i + 1);
  store_.Set(i, row);
  norms_[i] = norm;
}

void KeyDiffHead::AddToSum(const Key& key) {
  if (key.norm == 0.0f) return;
  for (size_t c = 0; c < key.row.size(); ++c) {
    sum_[c] += key.row[c] / static_cast<double>(key.norm);
  }
}

double KeyDiffHead::Alignment(const Key& key) const {
  if (key.norm == 0.0f) return 0.0;
  double dot = 0.0;
  for (size_t c = 0; c < key.row.size(); ++c) dot += key.row[c] * sum_[c];
  return dot / key.norm;
}

std::vector<double> KeyDiffHead::Alignments() const {
  std::vector<double> all(store_.size());
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = Alignment(Decode(store_.row(i).key));
  }
  return all;
}

void KeyDiffHead::Insert(const LeavingTokens& tokens, RowOps& ops) {
  tokens.ReadByHost(layout_.mirror);
  // While there is room nothing is chosen, and no distance is needed.
  if (Overflows(tokens.count())) AskForDistances(tokens, ops);
  ops.After([this, tokens] { Take(tokens); });
}

void KeyDiffHead::AskForDistances(const LeavingTokens& tokens, RowOps& ops) {
  const int64_t count = tokens.count(), dim = layout_.head_dim;
  const Rows held = store_.View().keys;
  points_.resize(count * dim);
  squared_.resize(count * (held.count + count));
  const Matrix<float> points(points_.data(), count, dim);
  const Matrix<float> squared(squared_.data(), count, held.count + count);
  std::vector<DistanceTask> tasks;
  for (int64_t i = 0; i < count; ++i) {
    DecodeRow(layout_.format, tokens.keys.row(i), points.row(i));
  }
  // Tasks of the same rows stand one after the other: a backend reads these
  // once.
  for (int64_t i = 0; i < count && held.count > 0; ++i) {
    tasks.push_back({points.row(i), held, squared.row(i).first(held.count)});
  }
  for (int64_t i = 1; i < count; ++i) {
    Rows before = tokens.keys;
    before.count = i;
    tasks.push_back(
        {points.row(i), before, squared.row(i).subspan(held.count, i)});
  }
  ops.Distances(tasks);
}

void KeyDiffHead::Take(const LeavingTokens& tokens) {
  const int64_t before = store_.size(), columns = before + tokens.count();
  const Matrix<const float> squared(squared_.data(), tokens.count(), columns);
  // This is the column of `squared` that holds the distances to each row; rows
  // that tokens take are set below.
  std::vector<int64_t> column(Overflows(tokens.count()) ? limit_ : 0);
  std::iota(column.begin(), column.end(), int64_t{0});
  std::vector<float> distances(column.size());
  for (int64_t i = 0; i < tokens.count(); ++i) {
    const Key key = Decode(tokens.keys.row(i));
    int64_t row = store_.size();
    if (!Overflows(1)) {
      AddToSum(key);
      SetRow(row, tokens.row(i), key.norm);
    } else {
      for (int64_t j = 0; j < limit_; ++j) {
        distances[j] = squared.row(i)[column[j]];
      }
      row = Exchange(tokens.row(i), key, distances);
    }
    if (row < static_cast<int64_t>(column.size())) column[row] = before + i;
  }
}

int64_t KeyDiffHead::Exchange(EncodedRow token, const Key& key,
                              Vector<const float> squared) {
  if (alignments_.size() == 0) {
    const std::vector<double> all = Alignments();
    alignments_.Resize(limit_);
    std::copy(all.begin(), all.end(), alignments_.span().begin());
  }
  int64_t worst = 0;
  for (int64_t i = 0; i < limit_; ++i) {
    const double norm = norms_[i], product = norm * key.norm;
    if (product > 0.0) {
      // The cosine follows from the lengths and the distance, which a backend
      // computes for many pairs at once.
      alignments_[i] +=
          (norm * norm + static_cast<double>(key.norm) * key.norm -
           squared[i]) /
          (2.0 * product);
    }
    if (alignments_[i] > alignments_[worst]) worst = i;
  }
  AddToSum(key);
  const double own = Alignment(key);
  if (own > alignments_[worst]) return limit_;
  SetRow(worst, token, key.norm);
  alignments_[worst] = own;
  return worst;
}

void KeyDiffHead::SetLimit(int64_t rows, RowOps&) {
  const std::vector<double> all = Alignments();
  std::vector<double> scores;
  for (const double alignment : all) scores.push_back(-alignment);
  int64_t kept = 0;
  for (const int64_t best : BestRows(scores, rows)) {
    norms_[kept] = norms_[best];
    store_.Set(kept++, store_.row(best));
  }
  store_.Resize(kept);
  norms_.Resize(kept);
  // Rows have moved; alignments are computed again where the rows next
  // overflow.
  alignments_.Resize(0);
  limit_ = rows;
  SetLimitOfAll(rows, &store_, &norms_, &alignments_);
}

void KeyDiffHead::InsertPrompt(const LeavingTokens& tokens, RowOps&) {
  tokens.ReadByHost(layout_.mirror);
  for (int64_t i = 0; i < tokens.count(); ++i) {
    // The whole prompt is in the mean before any of its tokens is judged by it.
    AddToSum(Decode(tokens.keys.row(i)));
  }
  std::vector<double> scores;
  std::vector<float> norms;
  for (int64_t i = 0; i < tokens.count(); ++i) {
    const Key key = Decode(tokens.keys.row(i));
    scores.push_back(-Alignment(key));
    norms.push_back(key.norm);
  }
  int64_t row = 0;
  for (const int64_t best : BestRows(scores, limit_)) {
    SetRow(row++, tokens.row(best), norms[best]);
  }
}

void KeyDiffHead::Save(ByteWriter* out) const {
  SaveAll(out, store_, alignments_, sum_);
}

absl::Status KeyDiffHead::Load(ByteReader* in, int64_t entered) {
  RETURN_IF_ERROR(LoadAll(in, &store_, &alignments_, &sum_));
  norms_.Resize(store_.size());
  for (int64_t i = 0; i < store_.size(); ++i) {
    // Lengths are computed again, as they follow from the keys: saved ones
    // could contradict these.
    norms_[i] = Decode(store_.row(i).key).norm;
  }
  RETURN_IF_ERROR(
      CheckSaved(sum_.size() == layout_.head_dim, "the sum of the keys"));
  const int64_t rows = std::min(entered, limit_);
  return CheckSaved(store_.size() == rows &&
                        (alignments_.size() == 0 ||
                         (alignments_.size() == limit_ && rows == limit_)),
                    "the number of rows");
}

PolicyCosts Costs(const CacheConfig&, const CacheShape& shape,
                  RowLayout layout) {
  constexpr int64_t kNormAndAlignment = sizeof(float) + sizeof(double);
  return {2 * layout.Exact().row_bytes() + kNormAndAlignment,
          2 * layout.row_bytes() + kNormAndAlignment,
          shape.head_dim * static_cast<int64_t>(sizeof(double))};
}

SketchMaker Make(const PolicySetup&) {
  return [](const SketchPlace& place) {
    return std::make_unique<SketchOfHeads<KeyDiffHead>>(place);
  };
}

}  // namespace

extern const PolicyEntry kKeyDiff = {
    .name = "key_diff",
    .source = "KeyDiff (Park et al., arXiv 2504.15364)",
    .help = "tokens whose keys point least along the mean key",
    .head_budgets =
        [](const CacheConfig&) { return HeadBudgets::kEqualByDefault; },
    .costs = Costs,
    .make = Make};

}  // namespace subgen
