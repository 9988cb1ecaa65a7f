// How far keys point away from the mean of all unit keys so far, which is the
// score of KeyDiff (Park et al., arXiv 2504.15364): what is like everything
// else is missed least.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cache/column.h"

namespace subgen {

class MeanKey {
 public:
  MeanKey() = default;
  explicit MeanKey(int64_t head_dim) : sum_(head_dim) { sum_.Resize(head_dim); }

  int64_t bytes() const { return sum_.bytes(); }
  // Takes a key in. One that is zero, or not finite, points nowhere.
  void Add(Vector<const float> key);
  // unit key . sum of unit keys
  float Alignment(Vector<const float> key) const;
  // The same from a squared distance between the directions of key and mean.
  float AlignmentAt(float squared) const;
  // As floats: what directions are compared with.
  std::vector<float> Direction() const;
  // (1 - cos(key, mean))^(2 exponent), for squared distances, from alignments.
  void Weigh(Vector<const float> alignments, int exponent,
             Vector<float> weights) const;

  void Save(ByteWriter* out) const { sum_.Save(out); }
  absl::Status Load(ByteReader* in);

 private:
  double Length() const;

  Column<double> sum_;  // [head_dim]
};

}  // namespace subgen
