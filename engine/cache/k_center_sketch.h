// SubGen as its paper's experiments run it (arXiv 2402.06082, section 4.1): the
// budget holds centers of clusters, each with its own key and value.
//   once:   of the whole prompt, by greedy k-center, farthest first.
//   stream: where all rows are taken, a token that leaves the window joins the
//           centers; then the one that is nearest to another goes, and the
//           other takes its count. O(k d) a token.
// Distances are those of cache.subgen.metric, times a center's distinctiveness,
//   w = (1 - cos(key, mean of the unit keys that left the window so far))^p,
// p = cache.subgen.distinctiveness_exponent. The paper: metric key, p = 0. In
// the stream a distance keeps the scale of its time. The stream is an operation
// of the backend (kernels/k_center.h).
#pragma once

#include "engine/cache/sketch.h"

namespace subgen {

class KCenterSketch final : public Sketch {
 public:
  KCenterSketch(const SketchPlace& place, const CenterMetric& metric);

  // All is left to the backend.
  void Insert(const LeavingTokens&, Matrix<const float>) override {}
  void AddTasks(const LeavingTokens& tokens, SketchTasks* tasks) override;
  void InsertPrompt(const LeavingTokens& tokens, Backend& backend) override;
  void AddShrinkTasks(int64_t rows, std::vector<CenterTask>* tasks) override;
  void SetLimit(int64_t rows) override;

  void AddRows(std::vector<WeightedRows>* out) const override;
  int64_t rows() const override { return store_.size(); }
  ByteUse bytes() const override {
    return store_.bytes() + counts_.bytes() + bias_.bytes() + links_.bytes() +
           alignments_.bytes() + totals_.bytes();
  }
  void Save(ByteWriter* out) const override;
  absl::Status Load(ByteReader* in, int64_t entered) override;

 private:
  void ResizeLinks(int64_t rows);
  void ResizeRows(int64_t rows);
  // Of no tokens, with the arrays as they are.
  CenterTask Task();
  double MeanSquare() const;  // of |v|
  // Weights of squared distances of rows that entered.
  std::vector<float> PromptWeights(const Rows& keys, Backend& backend);
  void SetPromptRow(int64_t i, EncodedRow row, int32_t count);
  // The neighbors of row i and those before it.
  void LinkPromptRow(int64_t i, Backend& backend);

  SketchPlace place_;
  CenterMetric metric_;
  int64_t limit_;  // centers
  RowStore store_;
  // As in CenterArrays.
  Column<int32_t> counts_;
  Column<float> bias_;
  struct Links {
    Column<int32_t> rows, second_rows;
    Column<float> squared, second_squared;

    Links(int64_t limit, Mirror* mirror);
    int64_t size() const { return rows.size(); }
    ByteUse bytes() const;
    void Resize(int64_t size);
    void SetLimit(int64_t limit);
    NeighborArrays span();
    void Written();
    void Save(ByteWriter* out) const;
    absl::Status Load(ByteReader* in);
  } links_;
  Column<float> alignments_;
  Column<double> totals_;
  int64_t entered_ = 0;
};

}  // namespace subgen
