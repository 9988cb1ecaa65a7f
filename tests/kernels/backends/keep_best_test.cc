// A stream of tokens goes into rows by their scores: after every call each
// backend holds what a sorted list of all that ever joined says.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

struct Token {
  float score = 0.0f;
  int64_t position = 0;
  bool operator<(const Token& other) const {
    return score != other.score ? score < other.score
                                : position < other.position;
  }
};

// This is one head, with arrays as large as they may become.
class Head {
 public:
  Head(RowFormat format, int64_t dim, int64_t room, int seed)
      : random_(seed),
        numbers_(400, dim, seed),
        all_(format, numbers_.view()),
        bytes_(RowBytes(format, dim)),
        keys_(room * bytes_),
        values_(room * bytes_),
        scores_(room),
        positions_(room),
        limit_(room) {}

  void SetLimit(int64_t limit) { limit_ = limit; }
  // Makes a task of the next tokens; key and value are two rows that tell them
  // apart.
  KeepBestTask Insert(int64_t count) {
    tokens_.clear();
    token_scores_.clear();
    token_positions_.clear();
    // There are few different scores, so that many are equal.
    std::uniform_int_distribution<int> score(0, 9);
    for (int64_t i = 0; i < count; ++i) {
      tokens_.push_back({score(random_) / 8.0f, next_ + 3 * i});
      if (score(random_) == 0) {
        tokens_[i].score = std::numeric_limits<float>::infinity();
      }
      token_scores_.push_back(tokens_[i].score);
      token_positions_.push_back(tokens_[i].position);
    }
    KeepBestTask task;
    task.keys = keys_.data();
    task.values = values_.data();
    task.scores = scores_;
    task.positions = positions_;
    task.held = kept_.size();
    task.limit = limit_;
    task.token_keys = Rows(all_.rows(), 0, count);
    task.token_values = Rows(all_.rows(), 200, count);
    task.token_scores = token_scores_;
    task.token_positions = token_positions_;
    return task;
  }
  // Checks what is held after that task, by hand.
  void Expect() {
    std::sort(kept_.begin(), kept_.end());
    if (static_cast<int64_t>(kept_.size()) > limit_) {
      kept_.erase(kept_.begin(), kept_.end() - limit_);
    }
    for (const Token& token : tokens_) {
      kept_.push_back(token);
      std::sort(kept_.begin(), kept_.end());
      if (static_cast<int64_t>(kept_.size()) > limit_) {
        // Of equal scores the older one goes.
        kept_.erase(kept_.begin());
      }
    }
    std::vector<Token> held;
    for (size_t i = 0; i < kept_.size(); ++i) {
      held.push_back({scores_[i], positions_[i]});
    }
    std::sort(held.begin(), held.end());
    for (size_t i = 0; i < kept_.size(); ++i) {
      ASSERT_EQ(held[i].position, kept_[i].position) << i;
      ASSERT_EQ(held[i].score, kept_[i].score) << i;
    }
    for (size_t i = 0; i < kept_.size(); ++i) ExpectRow(i);
    next_ += 3 * tokens_.size();
  }

 private:
  static subgen::Rows Rows(subgen::Rows all, int64_t first, int64_t count) {
    all.data += first * RowBytes(all.format, all.dim);
    all.count = count;
    return all;
  }
  // Row i is that of its token: the token's place in its call tells which.
  void ExpectRow(size_t i) {
    if (positions_[i] < next_) return;  // looked at when it came
    const int64_t token = (positions_[i] - next_) / 3;
    const std::byte* const rows = all_.rows().data;
    ASSERT_TRUE(std::equal(rows + token * bytes_, rows + (token + 1) * bytes_,
                           keys_.data() + i * bytes_));
    ASSERT_TRUE(std::equal(rows + (200 + token) * bytes_,
                           rows + (201 + token) * bytes_,
                           values_.data() + i * bytes_));
  }

  std::mt19937 random_;
  RandomMatrix numbers_;
  StoredRows all_;
  int64_t bytes_;
  std::vector<std::byte> keys_, values_;
  std::vector<float> scores_;
  std::vector<int32_t> positions_;
  int64_t limit_;
  int64_t next_ = 5;
  std::vector<Token> kept_, tokens_;
  std::vector<float> token_scores_;
  std::vector<int64_t> token_positions_;
};

class ScoredRowsTest : public BackendTest {};

TEST_P(ScoredRowsTest, TheBestStay) {
  for (const RowFormat format :
       {RowFormat::kF32, RowFormat::kBF16, RowFormat::kQ8, RowFormat::kQ4}) {
    SCOPED_TRACE(RowFormatName(format));
    Head one(format, 32, 1, 1), some(format, 64, 37, 2),
        many(format, 96, 300, 3);
    for (const int64_t count : {1, 30, 0, 1, 200, 7, 1, 1, 150}) {
      const KeepBestTask tasks[] = {one.Insert(count), some.Insert(count),
                                    many.Insert(count)};
      tested_->KeepBest(tasks);
      ASSERT_NO_FATAL_FAILURE(one.Expect());
      ASSERT_NO_FATAL_FAILURE(some.Expect());
      ASSERT_NO_FATAL_FAILURE(many.Expect());
    }
  }
}

TEST_P(ScoredRowsTest, AShorterLimitDropsTheWorst) {
  Head head(RowFormat::kBF16, 32, 120, 4);
  for (const int64_t limit : {120, 119, 60, 61, 2, 1}) {
    head.SetLimit(limit);
    const KeepBestTask task = head.Insert(limit == 60 ? 0 : 90);
    tested_->KeepBest({&task, 1});
    ASSERT_NO_FATAL_FAILURE(head.Expect()) << limit;
  }
}

// What is not a number is never the lowest, nor kept out.
TEST_P(ScoredRowsTest, NoNumberIsTheLargest) {
  std::vector<std::byte> keys(2 * 16), values(2 * 16);
  std::vector<float> scores(2);
  std::vector<int32_t> positions(2);
  const StoredRows rows(RowFormat::kF32, RandomMatrix(3, 4, 1).view());
  const std::vector<float> of_tokens = {NAN, 2.0f, 3.0f};
  const std::vector<int64_t> at = {1, 2, 3};
  const KeepBestTask task = {
      keys.data(), values.data(), scores,      positions, 0,
      2,           rows.rows(),   rows.rows(), of_tokens, at};
  tested_->KeepBest({&task, 1});
  EXPECT_TRUE(std::isnan(scores[0]));
  EXPECT_EQ(scores[1], 3.0f);
  EXPECT_EQ(positions[1], 3);
}

INSTANTIATE_TEST_SUITE_P(All, ScoredRowsTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
