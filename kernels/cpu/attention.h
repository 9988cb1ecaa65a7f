// Attention over weighted rows on threads.
#pragma once

#include "kernels/backend.h"
#include "kernels/cpu/context.h"

namespace subgen::cpu {

// Tasks are cut into pieces (queries x rows) by their sizes and the number of
// threads only, and pieces are merged in order: results do not depend on
// timing.
void Attend(Context& context, Vector<const AttentionTask> tasks);
void AccumulateMass(Context& context, Vector<const AttentionMassTask> tasks);

}  // namespace subgen::cpu
