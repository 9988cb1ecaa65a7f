#include "engine/cache/sketch.h"

#include <algorithm>

namespace subgen {

LeavingTokens LeavingTokens::Part(int64_t first, int64_t count) const {
  LeavingTokens part;
  part.positions = positions.subspan(first, count);
  part.keys = {keys.format, keys.row(first), count, keys.dim};
  part.values = {values.format, values.row(first), count, values.dim};
  if (!scores.empty()) part.scores = scores.subspan(first, count);
  return part;
}

void LeavingTokens::Decode(Vector<float> out) {
  const Matrix<float> all(out.data(), 2 * count(), keys.dim);
  for (int64_t i = 0; i < count(); ++i) {
    DecodeRow(keys.format, keys.row(i), all.row(i));
    DecodeRow(values.format, values.row(i), all.row(count() + i));
  }
  points = all.Rows(0, count());
  value_points = all.Rows(count(), count());
}

void Sketch::SetLimit(int64_t) { Fatal("this sketch has no limit"); }

void Sketch::InsertPrompt(const LeavingTokens& tokens, Backend& backend) {
  std::vector<float> points(2 * kMostTokens * tokens.keys.dim), squared;
  for (int64_t first = 0; first < tokens.count(); first += kMostTokens) {
    LeavingTokens part =
        tokens.Part(first, std::min(kMostTokens, tokens.count() - first));
    const int64_t columns = DistanceColumns();
    squared.assign(part.count() * columns, 0.0f);
    const Matrix<float> distances(squared.data(), part.count(), columns);
    if (columns > 0) {
      part.Decode(points);
      std::vector<DistanceTask> tasks;
      AddDistances(part, distances, &tasks);
      backend.Distances(tasks);
    }
    Insert(part, distances);
    std::vector<RowCopy> copies;
    AddRowCopies(part, &copies);
    if (!copies.empty()) backend.ConvertRows(copies);
  }
}

}  // namespace subgen
