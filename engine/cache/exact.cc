// Every token is kept: a window as long as the context.
#include "engine/cache/policies.h"

namespace subgen {

MadePolicy MakeExact(const PolicySetup& setup) {
  return std::make_unique<SketchPolicy>(setup.Options("exact"), *setup.backend);
}

}  // namespace subgen
