// These are the cpu backend on each instruction set of this machine and with
// several numbers of threads.
#include "absl/strings/str_cat.h"
#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/cpu_targets.h"

namespace subgen {
namespace {

BackendCase CpuCase(const std::string& name, int threads) {
  BackendCase made;
  made.name = absl::StrCat(name, "_", threads, "_threads");
  made.make = [name, threads] {
    UseSet(name);
    return MakeCpuBackend(threads);
  };
  made.tear_down = [] { UseSet("auto"); };
  const cpu::InstructionSet set = UseSet(name);
  UseSet("auto");
  const bool tiles = set.tiles != nullptr;
  made.linear_rounding = [tiles](const WeightMatrix& weight, int64_t) {
    return tiles && cpu::SuitsTiles(weight) && BlockSize(weight.format) > 1
               ? LinearRounding::kTokensTo16Bits
               : LinearRounding::kNone;
  };
  made.attention_rounding = [bits =
                                 set.vector_bits](const AttentionTask& task) {
    return bits >= 256 && task.queries.rows >= 16 &&
                   (task.rows.keys.format != RowFormat::kF32 || task.may_round)
               ? AttentionRounding::kTo16Bits
               : AttentionRounding::kNone;
  };
  return made;
}

}  // namespace

// Returns the best set of each kind of vectors with two threads, and the best
// one with other numbers too. Sets that differ in the products of tiles alone
// have the same bits (tile_products_test).
std::vector<BackendCase> BackendCases() {
  std::vector<BackendCase> cases;
  const std::vector<std::string> sets = cpu::InstructionSetsOfMachine();
  int64_t target = 0;
  for (const std::string& set : sets) {
    const bool seen = UseSet(set).highway_target == target;
    target = UseSet(set).highway_target;
    if (!seen) cases.push_back(CpuCase(set, 2));
  }
  cases.push_back(CpuCase(sets.front(), 1));
  cases.push_back(CpuCase(sets.front(), 3));
  return cases;
}

}  // namespace subgen
