// SubGen's centres (kernels/centers.h): distances of all tokens of a call at
// once, on all threads; then the choices, a head a thread.
#pragma once

#include "kernels/backend.h"
#include "kernels/cpu/context.h"

namespace subgen::cpu {

void InsertCenters(Context& context, Vector<const CenterTask> tasks);

// The tokens of a task as floats, and how far each is from the centres as they
// are before and from the tokens, by the parts of the metric; a null part is
// not used.
struct TokenDistances {
  Matrix<float> keys, values;  // [tokens, dim]
  struct Part {
    Matrix<float> centers;  // [tokens, limit], filled as far as there are some
    Matrix<float> tokens;   // [tokens, tokens]
  };
  Part of_keys, of_directions, of_values;
};

}  // namespace subgen::cpu
