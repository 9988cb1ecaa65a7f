// SubGen as its paper's experiments run it (arXiv 2402.06082, section 4.1): the
// budget holds centres of clusters, each with its own key and value.
//   once:   of the whole prompt, by greedy k-center, farthest first.
//   stream: where all rows are taken, a token that leaves the window joins the
//           centres; then the one that is nearest to another goes, and the
//           other takes its count. O(k d) a token.
// Distances are those of cache.subgen.metric, times a centre's distinctiveness,
//   w = (1 - cos(key, mean of the unit keys that left the window so far))^p,
// p = cache.subgen.distinctiveness_exponent. The paper: metric key, p = 0. In
// the stream a distance keeps the scale of its time (row_metric.h).
#pragma once

#include <vector>

#include "engine/cache/mean_key.h"
#include "engine/cache/neighbors.h"
#include "engine/cache/row_metric.h"
#include "engine/cache/sketch.h"

namespace subgen {

struct KCenterOptions {
  RowMetric metric;
  int distinctiveness_exponent = 0;
  double count_exponent = 0.0;
};

class KCenterSketch final : public Sketch {
 public:
  KCenterSketch(const SketchPlace& place, const KCenterOptions& options);

  int64_t DistanceColumns() const override {
    return options_.metric.parts().size() * PartColumns();
  }
  void AddDistances(const LeavingTokens& tokens, Matrix<float> squared,
                    std::vector<DistanceTask>* tasks) const override;
  void Insert(const LeavingTokens& tokens,
              Matrix<const float> squared) override;
  void InsertPrompt(const LeavingTokens& tokens, Backend& backend) override;
  void SetLimit(int64_t rows) override;

  void AddRows(std::vector<WeightedRows>* out) const override;
  int64_t rows() const override { return store_.size(); }
  int64_t bytes() const override {
    return store_.bytes() + counts_.bytes() + bias_.bytes() + table_.bytes() +
           alignments_.bytes() + mean_.bytes();
  }
  void Save(ByteWriter* out) const override;
  absl::Status Load(ByteReader* in, int64_t entered) override;

 private:
  // The distances of a token to the rows, [limit_] for each part.
  using Parts = std::vector<std::vector<float>>;

  bool counted() const { return options_.count_exponent != 0.0; }
  bool weighted() const { return options_.distinctiveness_exponent != 0; }
  bool Overflows(int64_t tokens) const {
    return store_.size() + tokens > limit_;
  }
  int64_t PartColumns() const { return limit_ + kMostTokens; }
  double Scale() const;  // mean of |v|^2
  // Into the means.
  void Enter(const RowPoint& point);
  void SetRow(int64_t i, EncodedRow row, int32_t count);
  void AddCount(int64_t i, int32_t count);
  // Neighbours and alignments of all rows.
  void Link();
  // Takes the least of the rows out.
  void DropLeast();
  // Puts a token among the centres and takes one out. Returns the row that the
  // token took, or limit_.
  int64_t Exchange(EncodedRow token, const RowPoint& point, const Parts& parts);
  // Of all rows and the token, after it entered.
  void UpdateAlignments(const RowPoint& point, const Parts& parts);
  // The row that goes, of those of table_. `squared`: distances of the token at
  // hand, the last of them; empty: there is none.
  int64_t ChooseRow(Vector<const float> squared);
  // Squared weights of rows that entered.
  std::vector<float> PromptWeights(const Rows& keys, Backend& backend) const;

  SketchPlace place_;
  KCenterOptions options_;
  int64_t limit_;  // centres
  RowStore store_;
  Column<int32_t> counts_;    // tokens that a centre stands for, where counted
  Column<float> bias_;        // count_exponent * log(count), where counted
  NeighborTable table_;       // empty until the centres first overflow
  Column<float> alignments_;  // as table_, with mean_, where weighted
  MeanKey mean_;              // where weighted
  double value_squares_ = 0.0;
  int64_t entered_ = 0;
};

}  // namespace subgen
