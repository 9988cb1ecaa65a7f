// The cpu backend on each instruction set of this machine and with several
// numbers of threads, beside the reference.
#pragma once

#include "kernels/cpu/simd.h"
// After simd.h, which says which targets there are.
#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/backend.h"

namespace subgen {

struct CpuCase {
  int64_t target = 0;
  int threads = 1;
};

inline std::string Name(const CpuCase& c) {
  return absl::StrCat(hwy::TargetName(c.target), "_", c.threads, "_threads");
}
inline void PrintTo(const CpuCase& c, std::ostream* out) { *out << Name(c); }

// Every target with two threads, the best one with other numbers too.
inline std::vector<CpuCase> CpuCases() {
  std::vector<CpuCase> cases;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    cases.push_back({target, 2});
  }
  const int64_t best = cases.front().target;
  cases.push_back({best, 1});
  cases.push_back({best, 3});
  return cases;
}

inline std::string CpuCaseName(const testing::TestParamInfo<CpuCase>& info) {
  return Name(info.param);
}

class CpuTest : public testing::TestWithParam<CpuCase> {
 protected:
  void SetUp() override {
    hwy::SetSupportedTargetsForTest(GetParam().target);
    hwy::GetChosenTarget().DeInit();
    cpu_ = MakeCpuBackend(GetParam().threads);
    reference_ = MakeReferenceBackend();
  }
  void TearDown() override {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
  }

  std::unique_ptr<Backend> cpu_;
  std::unique_ptr<Backend> reference_;
};

}  // namespace subgen
