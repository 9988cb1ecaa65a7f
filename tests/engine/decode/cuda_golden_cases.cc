#include "tests/engine/decode/golden_case.h"

namespace subgen {

// Chunks are of no more tokens than are multiplied in float32.
std::vector<GoldenBackend> GoldenBackends() { return {{"cuda", "cpu"}}; }

}  // namespace subgen
