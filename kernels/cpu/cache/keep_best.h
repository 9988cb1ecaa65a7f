// Keeps rows by their scores (kernels/keep_best.h), one head per thread.
#pragma once

#include "kernels/cpu/threads/context.h"
#include "kernels/keep_best.h"

namespace subgen::cpu {

void KeepBest(Context& context, Vector<const KeepBestTask> tasks);

}  // namespace subgen::cpu
