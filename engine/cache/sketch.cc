#include "engine/cache/sketch.h"

#include "kernels/base/status_macros.h"

namespace subgen {

void Sketch::SetLimits(Vector<const int64_t>, RowOps&) {
  Fatal("this sketch has no limits");
}

}  // namespace subgen
