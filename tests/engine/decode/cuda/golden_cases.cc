#include "kernels/backend.h"
#include "tests/engine/decode/backends/golden_case.h"

namespace subgen {

// Chunks are of no more tokens than are multiplied in float32.
std::vector<GoldenBackend> GoldenBackends() { return {{"cuda", "cpu"}}; }

std::string MissingDevice(const std::string&) {
  const auto backend = MakeCudaBackend(0);
  return backend.ok() ? "" : std::string(backend.status().message());
}

}  // namespace subgen
