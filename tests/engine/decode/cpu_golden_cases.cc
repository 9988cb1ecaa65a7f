#include "tests/engine/decode/backends/golden_case.h"

namespace subgen {

std::vector<GoldenBackend> GoldenBackends() {
  return {{"reference", "reference"}, {"cpu", "cpu"}};
}

std::string MissingDevice(const std::string&) { return ""; }

}  // namespace subgen
