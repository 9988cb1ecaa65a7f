// Which backends a test program compares with other implementations: told by
// the file that it is linked with, cpu_golden_cases.cc or
// cuda/golden_cases.cc.
#pragma once

#include <string>
#include <vector>

namespace subgen {

struct GoldenBackend {
  std::string name;
  std::string rounding;  // whose roundings it has: "reference" or "cpu"
};
std::vector<GoldenBackend> GoldenBackends();
// What this machine lacks for a backend; empty where it has all.
std::string MissingDevice(const std::string& backend);

}  // namespace subgen
