// The cpu backend on each instruction set of this machine and with several
// numbers of threads.
#include "kernels/cpu/simd.h"
// After simd.h, which says which targets there are.
#include <hwy/highway.h>

#include "absl/strings/str_cat.h"
#include "kernels/cpu/integer_linear.h"
#include "tests/kernels/backend_case.h"

namespace subgen {
namespace {

int64_t VectorBits(int64_t target) {
  switch (target) {
    case HWY_SCALAR:
      return 32;
    case HWY_AVX2:
      return 256;
    case HWY_AVX3:
      return 512;
    default:
      return 128;
  }
}

BackendCase CpuCase(int64_t target, int threads) {
  BackendCase made;
  made.name = absl::StrCat(hwy::TargetName(target), "_", threads, "_threads");
  made.make = [target, threads] {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
    return MakeCpuBackend(threads);
  };
  made.tear_down = [] {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
  };
  const bool integers = cpu::FindIntegerSet(VectorBits(target)) != nullptr;
  made.linear_rounding = [integers](const WeightMatrix& weight, int64_t) {
    return integers && cpu::SuitsIntegers(weight.format, weight.cols)
               ? LinearRounding::kTokensTo16Bits
               : LinearRounding::kNone;
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
