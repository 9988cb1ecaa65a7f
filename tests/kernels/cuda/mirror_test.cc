// These test memory on both sides: which side is the newer, on a device or its
// emulation.
#include <gtest/gtest.h>

#include <set>

#include "kernels/backend.h"
#include "kernels/cuda/runtime/byte_ranges.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

using cuda::ByteRange;
using cuda::ByteRanges;

TEST(ByteRangesTest, EqualsASetOfNumbers) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> place(0, 60);
  ByteRanges ranges;
  std::set<int64_t> bytes;
  for (int step = 0; step < 2000; ++step) {
    int64_t first = place(random), end = place(random);
    if (first > end) std::swap(first, end);
    for (int64_t i = first; i < end; ++i) {
      if (step % 2 == 0) bytes.insert(i);
      if (step % 2 == 1) bytes.erase(i);
    }
    step % 2 == 0 ? ranges.Add({first, end}) : ranges.Remove({first, end});
    std::set<int64_t> found;
    int64_t last = -1;
    for (const ByteRange& part : ranges.Within({5, 55})) {
      ASSERT_GT(part.first, last);  // apart, in order
      for (int64_t i = part.first; i < part.end; ++i) found.insert(i);
      last = part.end;
    }
    std::set<int64_t> wanted;
    for (const int64_t i : bytes) {
      if (i >= 5 && i < 55) wanted.insert(i);
    }
    ASSERT_EQ(found, wanted) << "step " << step;
  }
}

class MirrorTest : public testing::Test {
 protected:
  void SetUp() override {
    auto backend = MakeCudaBackend(0);
    if (!backend.ok()) GTEST_SKIP() << backend.status().message();
    backend_ = *std::move(backend);
  }
  Buffer<float> Floats(int64_t size) {
    return Buffer<float>(size, backend_->mirror());
  }
  std::unique_ptr<Backend> backend_;
};

TEST_F(MirrorTest, BuffersBeginWithZeros) {
  Buffer<float> x = Floats(100), sum = Floats(100);
  backend_->Add(x.matrix(10, 10), sum.matrix(10, 10));
  ReadByHost(*backend_, sum.span());
  for (const float number : sum.span()) EXPECT_EQ(number, 0.0f);
}

TEST_F(MirrorTest, ResultsComeWhenTheHostReads) {
  Buffer<float> x = Floats(8), sum = Floats(8);
  for (int i = 0; i < 8; ++i) x[i] = i;
  WrittenByHost(*backend_, x.span());
  for (int times = 1; times <= 3; ++times) {
    backend_->Add(x.matrix(1, 8), sum.matrix(1, 8));
    ReadByHost(*backend_, sum.span());
    for (int i = 0; i < 8; ++i) ASSERT_EQ(sum[i], times * i);
  }
}

TEST_F(MirrorTest, BothSidesMayWriteTheirPart) {
  Buffer<float> x = Floats(8), sum = Floats(8);
  for (int i = 0; i < 8; ++i) x[i] = 1.0f;
  WrittenByHost(*backend_, x.span());
  backend_->Add(x.matrix(1, 8), sum.matrix(1, 8));  // all 1 on the device
  sum[3] = 10.0f;
  WrittenByHost(*backend_, sum.span().subspan(3, 1));
  backend_->Add(x.matrix(1, 8), sum.matrix(1, 8));
  ReadByHost(*backend_, sum.span());
  for (int i = 0; i < 8; ++i) EXPECT_EQ(sum[i], i == 3 ? 11.0f : 2.0f);
}

// What was put on the stream keeps the numbers that it was given.
TEST_F(MirrorTest, TheHostMayWriteAgainBeforeTheDeviceRuns) {
  Buffer<float> x = Floats(4), sum = Floats(4);
  for (float value : {1.0f, 10.0f, 100.0f}) {
    for (int i = 0; i < 4; ++i) x[i] = value;
    WrittenByHost(*backend_, x.span());
    backend_->Add(x.matrix(1, 4), sum.matrix(1, 4));
  }
  ReadByHost(*backend_, sum.span());
  EXPECT_EQ(sum[2], 111.0f);
}

// The gaps between rows belong to others.
TEST_F(MirrorTest, GapsOfAMatrixAreNotWritten) {
  Buffer<float> all = Floats(12), ones = Floats(4);
  for (int i = 0; i < 12; ++i) all[i] = i;
  for (int i = 0; i < 4; ++i) ones[i] = 1.0f;
  WrittenByHost(*backend_, all.span());
  WrittenByHost(*backend_, ones.span());
  backend_->Add(ones.matrix(2, 2), {all.data() + 1, 2, 2, 6});
  all[0] = 50.0f;
  all[5] = 60.0f;
  WrittenByHost(*backend_, all.span().first(1));
  WrittenByHost(*backend_, all.span().subspan(5, 1));
  ReadByHost(*backend_, all.span());
  const std::vector<float> wanted = {50, 2, 3, 3, 4, 60, 6, 8, 9, 9, 10, 11};
  for (int i = 0; i < 12; ++i) EXPECT_EQ(all[i], wanted[i]) << i;
}

// There is mirrored and other memory in one operation, and operands of both.
TEST_F(MirrorTest, OperationsMixMemory) {
  RandomMatrix x(3, 64, 1), y(3, 64, 2);
  Buffer<float> mirrored = Floats(3 * 64);
  std::copy(y.numbers().begin(), y.numbers().end(), mirrored.data());
  WrittenByHost(*backend_, mirrored.span());
  backend_->Add(x.view(), mirrored.matrix(3, 64));
  backend_->Add(mirrored.matrix(3, 64), x.view());
  ReadByHost(*backend_, mirrored.span());
  RandomMatrix again(3, 64, 1);
  for (size_t i = 0; i < again.numbers().size(); ++i) {
    const float sum = again.numbers()[i] + y.numbers()[i];
    ASSERT_EQ(mirrored[i], sum);
    ASSERT_EQ(x.numbers()[i], again.numbers()[i] + sum);
  }
}

}  // namespace
}  // namespace subgen
