// The queue of a device runs over the emulated runtime, which counts what it is
// asked to do and runs a stream only when that is waited for.
#include "kernels/cuda/runtime/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/backend.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

using emulation::Counts;
using emulation::CountsSoFar;
using emulation::Refusal;
using ::testing::HasSubstr;

class QueueTest : public testing::Test {
 protected:
  void SetUp() override { backend_ = *MakeCudaBackend(0); }
  void TearDown() override { emulation::SetRefusal(Refusal::kNowhere); }

  Buffer<float> Floats(int64_t size) {
    return Buffer<float>(size, backend_->mirror());
  }
  // Adds sum[0, size) += `times` * x, then reads it.
  float AddUp(int64_t size, int times, float x) {
    for (int64_t i = 0; i < size; ++i) x_[i] = x;
    WrittenByHost(*backend_, x_.span().first(size));
    for (int i = 0; i < times; ++i) {
      backend_->Add(x_.matrix(1, size), sum_.matrix(1, size));
    }
    ReadByHost(*backend_, sum_.span());
    return sum_[size - 1];
  }

  std::unique_ptr<Backend> backend_;
  Buffer<float> x_, sum_;
};

Counts operator-(const Counts& a, const Counts& b) {
  Counts d = a;
  d.allocations -= b.allocations;
  d.kernels -= b.kernels;
  d.copies_to_device -= b.copies_to_device;
  d.put -= b.put;
  d.captures -= b.captures;
  d.instantiations -= b.instantiations;
  d.updates -= b.updates;
  d.graph_launches -= b.graph_launches;
  d.waits -= b.waits;
  return d;
}

TEST_F(QueueTest, TheThirdTimeIsOneLaunchOneCopyAndOneWait) {
  x_ = Floats(8), sum_ = Floats(8);
  float expected = 0.0f;
  for (int turn = 1; turn <= 5; ++turn) {
    const Counts before = CountsSoFar();
    expected += 3.0f * turn;
    ASSERT_EQ(AddUp(8, 3, turn), expected);
    const Counts spent = CountsSoFar() - before;
    EXPECT_EQ(spent.kernels, 3);
    EXPECT_EQ(spent.copies_to_device, 1);
    EXPECT_EQ(spent.waits, 1);
    // These are upload, scatter, three kernels and the copy back.
    EXPECT_EQ(spent.put, turn == 1 ? 6 : 0);
    EXPECT_EQ(spent.captures, turn == 2 ? 1 : 0);
    EXPECT_EQ(spent.graph_launches, turn == 1 ? 0 : 1);
    EXPECT_TRUE(turn == 1 || spent.allocations == 0);
  }
}

TEST_F(QueueTest, NothingRunsUntilTheHostReads) {
  x_ = Floats(4), sum_ = Floats(4);
  backend_->Add(x_.matrix(1, 4), sum_.matrix(1, 4));
  const Counts before = CountsSoFar();
  WrittenByHost(*backend_, x_.span());
  backend_->Add(x_.matrix(1, 4), sum_.matrix(1, 4));
  EXPECT_EQ((CountsSoFar() - before).put, 0);
  ReadByHost(*backend_, sum_.span());
  EXPECT_EQ((CountsSoFar() - before).kernels, 2);
  ReadByHost(*backend_, sum_.span());  // nothing is newer
  EXPECT_EQ((CountsSoFar() - before).waits, 1);
}

TEST_F(QueueTest, ListsThatTakeTurnsKeepTheirGraphs) {
  x_ = Floats(64), sum_ = Floats(64);
  float all = 0.0f;
  for (int turn = 0; turn < 6; ++turn) {
    const Counts before = CountsSoFar();
    for (const int64_t size : {5, 64, 33}) {
      // Number 4 is of all three, number 63 of one.
      AddUp(size, 1, 1.0f + turn);
      all += 1.0f + turn;
      ASSERT_EQ(sum_[4], all);
    }
    const Counts spent = CountsSoFar() - before;
    EXPECT_EQ(spent.graph_launches, turn == 0 ? 0 : 3);
    EXPECT_EQ(spent.instantiations, turn == 1 ? 3 : 0);
  }
  EXPECT_EQ(sum_[63], 1.0f + 2 + 3 + 4 + 5 + 6);
}

TEST_F(QueueTest, MoreListsThanGraphsAreNotCaptured) {
  x_ = Floats(64), sum_ = Floats(64);
  const Counts before = CountsSoFar();
  for (int turn = 1; turn <= 3; ++turn) {
    for (int64_t size = 1; size <= 12; ++size) AddUp(size, 1, 1.0f);
    EXPECT_EQ(sum_[0], 12.0f * turn);
  }
  EXPECT_EQ((CountsSoFar() - before).captures, 0);
}

// Attention of a prompt chunk over the past and itself is one graph, on memory
// that is there.
TEST_F(QueueTest, AttentionOfManyTokensIsCaptured) {
  constexpr int64_t kTokens = 40, kGroup = 3, kPast = 300, kDim = 64;
  Buffer<float> queries = Floats(kTokens * kGroup * kDim);
  Buffer<float> rows = Floats(kTokens * kDim);
  Buffer<uint16_t> past(kPast * kDim, backend_->mirror());
  for (int64_t i = 0; i < queries.size(); ++i) queries[i] = i % 7 / 70.0f;
  for (int64_t i = 0; i < rows.size(); ++i) rows[i] = i % 5 - 2.0f;
  for (int64_t i = 0; i < past.size(); ++i) past[i] = 0x3f00 + i % 80;
  WrittenByHost(*backend_, queries.span());
  WrittenByHost(*backend_, rows.span());
  WrittenByHost(*backend_, past.span());
  std::vector<int> tokens(kTokens);
  for (int i = 0; i < kTokens; ++i) tokens[i] = i;
  PartialsBuffer partials(kTokens * kGroup, kDim, backend_->mirror());
  const SoftmaxPartials out = partials.Resize(kTokens * kGroup);
  const auto of = [&](RowFormat format, void* numbers, int64_t count) {
    AttentionTask task;
    task.queries = queries.matrix(kTokens * kGroup, kDim);
    task.rows.keys = {format, static_cast<std::byte*>(numbers), count, kDim};
    task.rows.values = task.rows.keys;
    task.group = kGroup;
    task.out = out;
    return task;
  };
  const AttentionTask before = of(RowFormat::kBF16, past.data(), kPast);
  AttentionTask inside = of(RowFormat::kF32, rows.data(), kTokens);
  inside.row_token = tokens;
  std::vector<float> first;
  for (int turn = 0; turn < 5; ++turn) {  // the first sends the operands
    const Counts counts = CountsSoFar();
    backend_->SetEmpty(out);
    backend_->Attend({{before, inside}});
    ReadByHost(*backend_, partials.packed());
    const Counts spent = CountsSoFar() - counts;
    EXPECT_EQ(spent.kernels, 4);  // empty, two formats, merge
    EXPECT_EQ(spent.captures, turn == 2 ? 1 : 0);
    EXPECT_EQ(spent.graph_launches, turn < 2 ? 0 : 1);
    EXPECT_TRUE(turn < 2 || spent.allocations == 0);
    const Vector<float> all = partials.packed();
    if (turn == 0) first.assign(all.begin(), all.end());
    ASSERT_EQ(std::vector<float>(all.begin(), all.end()), first) << turn;
    ASSERT_GT(out.partition[0], 1.0f);
  }
}

// A graph stands for one list: other sizes, addresses or constants are others.
TEST_F(QueueTest, AChangedListIsNotTakenForTheOld) {
  for (const Refusal refusal : {Refusal::kNowhere, Refusal::kUpdate}) {
    emulation::SetRefusal(refusal);
    x_ = Floats(64), sum_ = Floats(64);
    const Counts before = CountsSoFar();
    float expected = 0.0f;
    for (int64_t size = 1; size <= 20; ++size) {
      for (int turn = 0; turn < 3; ++turn) {
        AddUp(size, 1, 2.0f);
        expected += 2.0f;
        ASSERT_EQ(sum_[0], expected);
        // No list before reached the last number.
        ASSERT_EQ(sum_[size - 1], size == 1 ? expected : 2.0f * (turn + 1));
      }
    }
    const Counts spent = CountsSoFar() - before;
    EXPECT_EQ(spent.captures, 20);
    EXPECT_EQ(spent.updates, refusal == Refusal::kUpdate ? 0 : 12);
    EXPECT_EQ(spent.instantiations, refusal == Refusal::kUpdate ? 20 : 8);
    RandomMatrix input(1, 64, 1);
    Buffer<float> gain = Floats(64), normed = Floats(64), same = Floats(64);
    std::fill_n(gain.data(), 64, 1.0f);
    WrittenByHost(*backend_, gain.span());
    for (const float epsilon : {1e-5f, 1e-5f, 1e-5f, 1.0f, 1.0f, 1.0f}) {
      backend_->RmsNorm(input.view(), gain.span(), epsilon,
                        normed.matrix(1, 64));
      ReadByHost(*backend_, normed.span());
      MakeReferenceBackend()->RmsNorm(input.view(), gain.span(), epsilon,
                                      same.matrix(1, 64));
      ASSERT_NEAR(normed[5], same[5], 1e-6) << epsilon;
    }
  }
}

TEST_F(QueueTest, WhereCaptureIsRefusedCommandsAreLaunchedAndANoteSaysSo) {
  for (const auto& [refusal, words] :
       {std::pair<Refusal, std::string>{Refusal::kBegin, "capturing"},
        {Refusal::kEnd, "previous error during capture"},
        {Refusal::kInstantiate, "out of memory"}}) {
    x_ = Buffer<float>(),
    sum_ = Buffer<float>();  // before the backend that they are of
    backend_ = *MakeCudaBackend(0);
    x_ = Floats(8), sum_ = Floats(8);
    EXPECT_EQ(backend_->note(), "");
    emulation::SetRefusal(refusal);
    const Counts before = CountsSoFar();
    for (int turn = 1; turn <= 4; ++turn) {
      ASSERT_EQ(AddUp(8, 1, 1.0f), turn);
      if (turn == 2) emulation::SetRefusal(Refusal::kNowhere);  // once is all
    }
    const Counts spent = CountsSoFar() - before;
    EXPECT_EQ(spent.graph_launches, 0);
    EXPECT_EQ(spent.kernels, 4);
    EXPECT_THAT(backend_->note(),
                HasSubstr("steps are not captured as CUDA graphs: "));
    EXPECT_THAT(backend_->note(), HasSubstr(words));
  }
}

// Memory that goes is not used by what still waits, and what comes in its place
// is not taken for it.
TEST_F(QueueTest, BuffersMayGoBeforeTheirCommandsRun) {
  sum_ = Floats(16);
  for (int turn = 1; turn <= 4; ++turn) {
    for (int i = 0; i < 3; ++i) {
      Buffer<float> short_lived = Floats(16);
      std::fill_n(short_lived.data(), 16, 1.0f + i);
      WrittenByHost(*backend_, short_lived.span());
      backend_->Add(short_lived.matrix(1, 16), sum_.matrix(1, 16));
    }
    ReadByHost(*backend_, sum_.span());
    ASSERT_EQ(sum_[7], 6.0f * turn);
  }
}

// There are more operands than are staged at once, and more than there was room
// for.
TEST_F(QueueTest, ManyOperandsRunInParts) {
  constexpr int64_t kSize = int64_t{1} << 20;
  sum_ = Floats(kSize);
  std::vector<float> x(kSize);
  for (int i = 0; i < 20; ++i) {
    std::fill(x.begin(), x.end(), 1.0f + i);
    backend_->Add(Matrix<float>(x.data(), 1, kSize), sum_.matrix(1, kSize));
  }
  ReadByHost(*backend_, sum_.span());
  EXPECT_EQ(sum_[kSize - 1], 20 * 21 / 2);
}

// The list is longer than any step: parts of it run while the host goes on.
TEST_F(QueueTest, LongListsRunInParts) {
  x_ = Floats(1), sum_ = Floats(1);
  for (int turn = 1; turn <= 2; ++turn) {
    const Counts before = CountsSoFar();
    ASSERT_EQ(AddUp(1, 10000, 1.0f), 10000 * turn);
    EXPECT_EQ((CountsSoFar() - before).waits, 1);
    EXPECT_EQ((CountsSoFar() - before).copies_to_device, 1);
  }
}

// It is read from the device's copy: what the host's table says later is not
// seen.
TEST_F(QueueTest, ATableThatIsKeptIsReadByIds) {
  RandomMatrix numbers(50, 32, 1);
  WeightMatrix table;
  table.data = reinterpret_cast<const std::byte*>(numbers.numbers().data());
  table.rows = 50;
  table.cols = 32;
  table.row_stride = table.row_bytes();
  backend_->KeepTable(table);
  RandomMatrix as_kept = numbers;
  std::fill(numbers.numbers().begin(), numbers.numbers().end(), 0.0f);
  Buffer<float> rows = Floats(3 * 32);
  for (int turn = 0; turn < 3; ++turn) {
    const std::vector<int> ids = {49, turn, 7};
    backend_->Embed(table, ids, rows.matrix(3, 32));
    ReadByHost(*backend_, rows.span());
    for (int i = 0; i < 3 * 32; ++i) {
      ASSERT_EQ(rows[i], as_kept.view().row(ids[i / 32])[i % 32]) << turn;
    }
  }
}

TEST_F(QueueTest, CopiesOfMirroredMemoryTakeTheNewerSide) {
  Buffer<float> from = Floats(4), to = Floats(6), ones = Floats(4);
  for (int i = 0; i < 4; ++i) ones[i] = 1.0f, from[i] = 10.0f * i;
  WrittenByHost(*backend_, ones.span());
  WrittenByHost(*backend_, from.span());
  backend_->Add(ones.matrix(1, 4), from.matrix(1, 4));  // newer on the device
  from[3] = 7.0f;
  WrittenByHost(*backend_, from.span().subspan(3, 1));  // newer on the host
  const Counts before = CountsSoFar();
  backend_->mirror()->Copy(to.data() + 1, from.data(), 4 * sizeof(float));
  EXPECT_EQ((CountsSoFar() - before).waits, 0);
  backend_->Add(ones.matrix(1, 4), {to.data() + 1, 1, 4});
  ReadByHost(*backend_, to.span());
  EXPECT_EQ(std::vector<float>(to.span().begin(), to.span().end()),
            (std::vector<float>{0, 2, 12, 22, 8, 0}));
}

}  // namespace
}  // namespace subgen
