// How far keys point away from the mean of all unit keys so far, which is the
// score of KeyDiff (Park et al., arXiv 2504.15364): what is like everything
// else is missed least.
#pragma once

#include <vector>

#include "kernels/memory/view.h"

namespace subgen {

// A view of the sum of the unit keys, [head_dim].
class MeanKey {
 public:
  explicit MeanKey(Vector<double> sum) : sum_(sum) {}

  // Takes a key in. One that is zero, or not finite, points nowhere.
  void Add(Vector<const float> key);
  // unit key . sum of unit keys
  float Alignment(Vector<const float> key) const;
  // The same from a squared distance between the directions of key and mean.
  float AlignmentAt(float squared) const;
  // As floats: what directions are compared with.
  std::vector<float> Direction() const;
  double Length() const;
  // (1 - cos(key, mean))^(2 exponent), for squared distances, from alignments.
  void Weigh(Vector<const float> alignments, int exponent,
             Vector<float> weights) const;

 private:
  Vector<double> sum_;
};

}  // namespace subgen
