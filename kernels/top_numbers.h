// Keeps the largest numbers of a row. In a row of logits, they decide on a
// token.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/memory/view.h"

namespace subgen {

// At most so many of the largest can be asked for.
inline constexpr int64_t kMostTop = 256;
// A backend's sum of exponentials has at most this relative error.
inline constexpr double kTopSumError = 1e-5;

struct TopNumber {
  float value = 0.0f;
  int column = 0;
};
// The order is: larger numbers first, NaN last, equal ones by column.
inline bool IsBefore(const TopNumber& a, const TopNumber& b) {
  if (a.value > b.value || a.value < b.value) return a.value > b.value;
  const bool a_is_number = a.value == a.value;
  if (a_is_number != (b.value == b.value)) return a_is_number;
  return a.column < b.column;
}

// Backend::Top writes, for a row of numbers x of which the `most` largest are
// asked for: their values, largest first; their columns, as bits; -inf and -1
// where the row has fewer; then the sum of exp(scale (x - largest)), 0 where
// scale is 0; then 1 where all x are finite, else 0. Where one is NaN, the rest
// may be anything; where the largest is infinite, the sum may be anything. All
// of it is contiguous, so that ranks gather it in one call.
inline int64_t TopWidth(int64_t most) { return 2 * most + 2; }
inline int64_t TopMost(int64_t width) { return (width - 2) / 2; }

// Checks that shapes are as Backend::Top says; it is fatal where they are not.
void CheckTop(Matrix<const float> rows, Vector<const float> scales,
              Matrix<const float> output);

// This is the same as a struct.
struct RowTop {
  std::vector<TopNumber> best;
  int64_t columns = 0;  // of the row
  double sum = 0.0;
  bool finite = true;

  // Returns whether all of the row is among the best.
  bool whole() const { return static_cast<int64_t>(best.size()) == columns; }
};

RowTop ReadTop(Vector<const float> packed, int64_t columns);
void WriteTop(const RowTop& top, Vector<float> packed);

// This is a part of a row; the columns of the parts follow one another.
struct TopPart {
  Vector<const float> packed;  // as Backend::Top leaves it
  int64_t columns = 0;
};
// Returns the top of the whole row. The parts' sums must be of the same scale.
RowTop MergeTops(Vector<const TopPart> parts, float scale);

// This list keeps the `most` largest of the numbers that it is shown, in
// ascending order of columns.
class TopList {
 public:
  explicit TopList(int64_t most) : most_(most) {}

  // Returns whether a number that comes after all shown so far would be kept.
  bool Keeps(float value) const {
    return static_cast<int64_t>(best_.size()) < most_ ||
           (most_ > 0 && value > best_.back().value);
  }
  // Adds a number for which Keeps is true.
  void Add(const TopNumber& number);
  std::vector<TopNumber>& best() { return best_; }

 private:
  int64_t most_;
  std::vector<TopNumber> best_;  // largest first
};

}  // namespace subgen
