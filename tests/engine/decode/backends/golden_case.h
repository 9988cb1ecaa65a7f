// The file that a test program is linked with, cpu_golden_cases.cc or
// cuda/golden_cases.cc, says which backends it compares with other
// implementations.
#pragma once

#include <string>
#include <vector>

namespace subgen {

struct GoldenBackend {
  std::string name;
  std::string rounding;  // whose roundings it has: "reference" or "cpu"
};
std::vector<GoldenBackend> GoldenBackends();
// Returns what this machine lacks for a backend; nothing where it has all.
std::string MissingDevice(const std::string& backend);

}  // namespace subgen
