// SubGen's centers (kernels/k_center.h), one head per thread: the distances of
// some of its tokens come first, all at once, then the choices.
#pragma once

#include "kernels/cpu/threads/context.h"
#include "kernels/k_center.h"

namespace subgen::cpu {

void InsertCenters(Context& context, Vector<const CenterTask> tasks);

// Holds the tokens of a task as floats, and how far each is from the centers as
// they were before and from the other tokens, by the parts of the metric. A
// null part is not used.
struct TokenDistances {
  Matrix<float> keys, values;  // [tokens, dim]
  struct Part {
    Matrix<float> centers;  // [tokens, most_rows], as far as there are some
    Matrix<float> tokens;   // [tokens, tokens]
  };
  Part of_keys, of_directions, of_values;
};

}  // namespace subgen::cpu
