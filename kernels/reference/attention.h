// Computes attention over weighted rows, as the equations say it.
#pragma once

#include "kernels/attention_tasks.h"

namespace subgen::reference {

void Attend(const AttentionTask& task);
void AccumulateMass(const AttentionMassTask& task);

}  // namespace subgen::reference
