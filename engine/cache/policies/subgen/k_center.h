// This is SubGen as its paper's experiments run it (arXiv 2402.06082, section
// 4.1): the budget holds centers of clusters, each with its own key and value.
//   once:   they are chosen of the whole prompt by greedy k-center, farthest
//           first.
//   stream: where all rows are taken, a token that leaves the window joins the
//           centers; then the one that is nearest to another goes, and the
//           other takes its count. This costs O(k d) per token.
// Distances are those of cache.subgen.metric, times a center's distinctiveness,
//   w = (1 - cos(key, mean of the unit keys that left the window so far))^p,
// p = cache.subgen.distinctiveness_exponent. The paper has metric key and p =
// 0. In the stream a distance keeps the scale of its time. The stream is an
// operation of the backend (kernels/k_center.h).
#pragma once

#include "engine/cache/policy_entry.h"
#include "engine/cache/sketch_of_heads.h"

namespace subgen {

// These are the rows of two nearest neighbors, which grow and shrink together.
struct NeighborColumns {
  Column<int32_t> rows, second_rows;
  Column<float> squared, second_squared;

  NeighborColumns(int64_t limit, Mirror* mirror)
      : rows(limit, 1, 64, mirror),
        second_rows(limit, 1, 64, mirror),
        squared(limit, 1, 64, mirror),
        second_squared(limit, 1, 64, mirror) {}
  int64_t size() const { return rows.size(); }
  ByteUse bytes() const {
    return BytesOf(rows, squared, second_rows, second_squared);
  }
  void Resize(int64_t size) {
    ResizeAll(size, &rows, &squared, &second_rows, &second_squared);
  }
  void SetLimit(int64_t limit) {
    SetLimitOfAll(limit, &rows, &squared, &second_rows, &second_squared);
  }
  void Written();
  NeighborArrays span() {
    return {rows.span(), squared.span(), second_rows.span(),
            second_squared.span()};
  }
  void Save(ByteWriter* out) const;
  absl::Status Load(ByteReader* in);
};

// This holds the centers of one KV head.
class KCenterHead {
 public:
  KCenterHead(const HeadPlace& place, const CenterMetric& metric);

  void Insert(const LeavingTokens& tokens, RowOps& ops);
  void InsertPrompt(const LeavingTokens& tokens, RowOps& ops);
  void SetLimit(int64_t rows, RowOps& ops);

  void AddRows(std::vector<WeightedRows>* out) const;
  SketchSize size() const {
    return {store_.size(),
            BytesOf(store_, counts_, bias_, neighbors_, alignments_, totals_)};
  }
  void Save(ByteWriter* out) const;
  absl::Status Load(ByteReader* in, int64_t entered);

 private:
  void ResizeNeighbors(int64_t rows);
  void ResizeRows(int64_t rows);
  // Makes a task of no tokens, with the arrays as they are.
  CenterTask Task();
  absl::Status LoadCounts(int64_t entered);
  double MeanSquare() const;  // of |v|
  // Returns the weights of squared distances of rows that entered. This and
  // what follows is in k_center_prompt.cc.
  std::vector<float> PromptWeights(const Rows& keys);
  void SetPromptRow(int64_t i, EncodedRow row, int32_t count);
  // Links the neighbors of row i and those before it.
  void LinkPromptRow(int64_t i);
  void TellMirror();

  RowLayout layout_;
  Backend& backend_;
  CenterMetric metric_;
  int64_t limit_;  // centers
  RowStore store_;
  // These are as in CenterArrays. Neighbors and alignments have room for one
  // row more, for the token at hand.
  Column<int32_t> counts_;
  Column<float> bias_;
  NeighborColumns neighbors_;
  Column<float> alignments_;
  Column<double> totals_;
  int64_t entered_ = 0;
};

// These are the parts of SubGen's row in the table of policies, in this mode.
PolicyCosts KCenterCosts(const CacheConfig& config, const CacheShape& shape,
                         RowLayout layout);
std::string KCenterSettings(const CacheConfig& config);
SketchMaker MakeKCenter(const PolicySetup& setup);

}  // namespace subgen
