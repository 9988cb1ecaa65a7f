// The end of an operation brings its results back, and the next one begins
// after it.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/runtime/staging.h"

namespace subgen::cuda {
namespace {

class OperationTest : public testing::Test {
 protected:
  Queue queue_{0};
  DeviceMirror mirror_{&queue_};
  Staging staging_{&queue_, &mirror_};
};

TEST_F(OperationTest, ResultsAreThereWhenItGoesOutOfScope) {
  const std::vector<float> from = {1.0f, 2.0f, 3.0f};
  std::vector<float> to(3);
  for (int i = 0; i < 2; ++i) {
    std::fill(to.begin(), to.end(), 0.0f);
    {
      Operation operation(&staging_);
      const float* const in = operation.In(Vector<const float>(from));
      float* const out = operation.Out(Vector<float>(to));
      queue_.Copy(out, in, 3 * sizeof(float), cudaMemcpyDeviceToDevice);
      EXPECT_EQ(to, std::vector<float>(3));
    }
    EXPECT_EQ(to, from);
  }
}

TEST_F(OperationTest, OneAtATime) {
  Operation operation(&staging_);
  EXPECT_DEATH(Operation second(&staging_), "in_operation");
}

TEST(StagingOfTest, IsThatOfCudaAlone) {
  EXPECT_EQ(StagingOf(*MakeReferenceBackend()), nullptr);
  const std::unique_ptr<Backend> backend = *MakeCudaBackend(0);
  Staging* const staging = StagingOf(*backend);
  ASSERT_NE(staging, nullptr);
  EXPECT_EQ(staging->queue()->device(), 0);
}

}  // namespace
}  // namespace subgen::cuda
