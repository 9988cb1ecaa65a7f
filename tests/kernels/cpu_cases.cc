// The cpu backend on each instruction set of this machine and with several
// numbers of threads.
#include "absl/strings/str_cat.h"
#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/cpu_targets.h"

namespace subgen {
namespace {

BackendCase CpuCase(int64_t target, int threads) {
  BackendCase made;
  made.name = absl::StrCat(hwy::TargetName(target), "_", threads, "_threads");
  made.make = [target, threads] {
    UseTarget(target);
    return MakeCpuBackend(threads);
  };
  made.tear_down = [] { UseTarget(0); };
  const bool tiles = TileSetOf(target) != nullptr;
  made.linear_rounding = [tiles](const WeightMatrix& weight, int64_t) {
    return tiles && cpu::SuitsTiles(weight) && BlockSize(weight.format) > 1
               ? LinearRounding::kTokensTo16Bits
               : LinearRounding::kNone;
  };
  made.attention_rounding = [target](const AttentionTask& task) {
    return (target == HWY_AVX2 || target == HWY_AVX3) &&
                   task.queries.rows >= 16 &&
                   (task.rows.keys.format != RowFormat::kF32 || task.may_round)
               ? AttentionRounding::kTo16Bits
               : AttentionRounding::kNone;
  };
  return made;
}

}  // namespace

// Every target with two threads, the best one with other numbers too.
std::vector<BackendCase> BackendCases() {
  std::vector<BackendCase> cases;
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  for (const int64_t target : targets) cases.push_back(CpuCase(target, 2));
  cases.push_back(CpuCase(targets.front(), 1));
  cases.push_back(CpuCase(targets.front(), 3));
  return cases;
}

}  // namespace subgen
