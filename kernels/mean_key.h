// Measures how far keys point away from the mean of all unit keys so far, which
// is the score of KeyDiff (Park et al., arXiv 2504.15364). A key that is like
// everything else is missed least.
#pragma once

#include <vector>

#include "kernels/memory/view.h"

namespace subgen {

// This class is a view of the sum of the unit keys, [head_dim].
class MeanKey {
 public:
  explicit MeanKey(Vector<double> sum) : sum_(sum) {}

  // Takes a key into the sum. A key that is zero, or not finite, has no
  // direction and adds nothing.
  void Add(Vector<const float> key);
  // Returns unit key . sum of unit keys.
  float Alignment(Vector<const float> key) const;
  // Returns the same, from a squared distance between the directions of the key
  // and of the mean.
  float AlignmentAt(float squared) const;
  // Returns the mean's direction as floats, for directions to be compared with.
  std::vector<float> Direction() const;
  double Length() const;
  // Computes (1 - cos(key, mean))^(2 exponent) from alignments: the factors of
  // squared distances.
  void Weigh(Vector<const float> alignments, int exponent,
             Vector<float> weights) const;

 private:
  Vector<double> sum_;
};

}  // namespace subgen
