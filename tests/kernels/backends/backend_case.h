// This is a backend beside the reference. The tests of this folder are the same
// for all; the file that a test program is linked with, cpu_cases.cc or
// cuda/backend_cases.cc, says which backends it has, and in which variants.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace subgen {

// This is what Linear may round before it multiplies.
enum class LinearRounding { kNone, kTokensTo16Bits, kBothToBF16 };

// This is what attention may round before it multiplies: queries, rows and
// weights to 16 bits, as kernels/cpu/attention/many_queries-inl.h says, or to
// bf16.
enum class AttentionRounding { kNone, kTo16Bits, kToBF16 };

struct BackendCase {
  std::string name;
  // Gives null where this machine has no such device; the test is skipped.
  std::function<std::unique_ptr<Backend>()> make;
  std::function<void()> tear_down;  // or empty
  std::function<LinearRounding(const WeightMatrix&, int64_t tokens)>
      linear_rounding;
  std::function<AttentionRounding(const AttentionTask&)> attention_rounding;
};
std::vector<BackendCase> BackendCases();

inline void PrintTo(const BackendCase& c, std::ostream* out) { *out << c.name; }
inline std::string BackendCaseName(
    const testing::TestParamInfo<BackendCase>& info) {
  return info.param.name;
}

class BackendTest : public testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override {
    tested_ = GetParam().make();
    if (tested_ == nullptr) GTEST_SKIP() << "no device on this machine";
    reference_ = MakeReferenceBackend();
  }
  void TearDown() override {
    if (GetParam().tear_down) GetParam().tear_down();
  }

  std::unique_ptr<Backend> tested_;
  std::unique_ptr<Backend> reference_;
};

}  // namespace subgen
