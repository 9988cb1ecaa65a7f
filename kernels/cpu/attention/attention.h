// Computes attention over weighted rows on threads.
#pragma once

#include "kernels/attention_tasks.h"
#include "kernels/cpu/threads/context.h"

namespace subgen::cpu {

// Each task is cut into pieces (queries x rows) by its sizes and the number of
// threads only, and pieces are merged in order. Results therefore depend
// neither on timing nor on the other tasks, and a sequence gets the same bits
// whatever else is in the batch.
void Attend(Context& context, Vector<const AttentionTask> tasks);
void AccumulateMass(Context& context, Vector<const AttentionMassTask> tasks);

}  // namespace subgen::cpu
