// ApplyHadamard gives the bits of HadamardTransform on every backend.
#include "kernels/memory/hadamard.h"
#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

using HadamardRowsTest = BackendTest;

TEST_P(HadamardRowsTest, IsApplyAndUndo) {
  for (const int64_t dim : {1, 2, 12, 32, 64, 80, 96, 128, 256}) {
    const HadamardTransform transform(dim);
    for (const int64_t rows : {0, 1, 5, 70}) {
      RandomMatrix actual(rows, dim, 3, 4), expected(rows, dim, 3, 4);
      transform.Apply(expected.view());
      tested_->ApplyHadamard(transform, actual.view(), false);
      ASSERT_EQ(actual.numbers(), expected.numbers()) << dim << " " << rows;
      transform.Undo(expected.view());
      tested_->ApplyHadamard(transform, actual.view(), true);
      ASSERT_EQ(actual.numbers(), expected.numbers()) << dim << " " << rows;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, HadamardRowsTest,
                         testing::ValuesIn(BackendCases()), BackendCaseName);

}  // namespace
}  // namespace subgen
