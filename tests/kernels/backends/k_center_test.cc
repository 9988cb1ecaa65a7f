// A stream of tokens goes into centers: after every call each backend holds the
// same centers as the reference, which engine/cache/k_center_test.cc compares
// with brute force.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/backends/joining_tokens.h"

namespace subgen {
namespace {

struct Setting {
  CenterMetric metric;
  RowFormat format = RowFormat::kF32;
  int64_t dim = 16;
  int64_t limit = 40;
};

// This is one head, with all arrays as large as they may become.
class Head {
 public:
  explicit Head(const Setting& setting)
      : setting_(setting),
        row_bytes_(RowBytes(setting.format, setting.dim)),
        keys_(setting.limit * row_bytes_),
        values_(setting.limit * row_bytes_),
        counts_(setting.metric.counted() ? setting.limit : 0),
        bias_(counts_.size()),
        rows_(setting.limit + 1),
        second_rows_(setting.limit + 1),
        squared_(setting.limit + 1),
        second_squared_(setting.limit + 1),
        alignments_(setting.metric.weighted() ? setting.limit + 1 : 0),
        totals_(1 + (setting.metric.weighted() ? setting.dim : 0)) {}

  CenterTask Task(int64_t limit) {
    CenterTask task;
    task.metric = setting_.metric;
    task.centers.format = setting_.format;
    task.centers.dim = setting_.dim;
    task.centers.limit = limit;
    task.centers.keys = keys_.data();
    task.centers.values = values_.data();
    task.centers.counts = counts_;
    task.centers.bias = bias_;
    task.centers.neighbors = {rows_, squared_, second_rows_, second_squared_};
    task.centers.alignments = alignments_;
    task.centers.totals = totals_;
    task.rows = held;
    task.entered = entered;
    return task;
  }

  CenterTask Insert(const Rows& keys, const Rows& values) {
    CenterTask task = Task(setting_.limit);
    task.keys = keys;
    task.values = values;
    entered += keys.count;
    held = std::min(setting_.limit, held + keys.count);
    return task;
  }
  CenterTask Shrink(int64_t limit) {
    const CenterTask task = Task(limit);
    held = setting_.limit = limit;
    return task;
  }

  void ExpectAs(const Head& other) const {
    ASSERT_EQ(held, other.held);
    const int64_t bytes = held * row_bytes_;
    ASSERT_TRUE(
        std::equal(keys_.begin(), keys_.begin() + bytes, other.keys_.begin()));
    ASSERT_TRUE(std::equal(values_.begin(), values_.begin() + bytes,
                           other.values_.begin()));
    for (int64_t i = 0; i < held; ++i) {
      if (setting_.metric.counted()) {
        ASSERT_EQ(counts_[i], other.counts_[i]) << i;
        ASSERT_FLOAT_EQ(bias_[i], other.bias_[i]) << i;
      }
      ASSERT_EQ(rows_[i], other.rows_[i]) << i;
      ASSERT_EQ(second_rows_[i], other.second_rows_[i]) << i;
      // Distances of directions are 2 cos, rounded (distances_test.cc).
      const double bound = kUnit * (8 * setting_.dim + 32);
      const auto expect_near = [&](float got, float want) {
        if (std::isinf(want)) {  // there is none
          EXPECT_EQ(got, want);
        } else {
          EXPECT_NEAR(got, want, bound * (1.0 + want));
        }
      };
      expect_near(squared_[i], other.squared_[i]);
      expect_near(second_squared_[i], other.second_squared_[i]);
      if (!setting_.metric.weighted()) continue;
      ASSERT_NEAR(alignments_[i], other.alignments_[i],
                  bound * static_cast<double>(entered));
    }
    for (size_t i = 0; i < totals_.size(); ++i) {
      ASSERT_NEAR(totals_[i], other.totals_[i], 1e-12 * (1.0 + totals_[0]));
    }
  }

  int64_t held = 0, entered = 0;

 private:
  Setting setting_;
  int64_t row_bytes_;
  std::vector<std::byte> keys_, values_;
  std::vector<int32_t> counts_;
  std::vector<float> bias_;
  std::vector<int32_t> rows_, second_rows_;
  std::vector<float> squared_, second_squared_, alignments_;
  std::vector<double> totals_;
};

CenterMetric Metric(bool keys, bool values, int exponent) {
  CenterMetric metric;
  metric.keys = keys && !values;
  metric.values = values;
  metric.directions = metric.balanced = keys && values;
  metric.distinctiveness_exponent = exponent;
  metric.count_exponent = 0.25;
  return metric;
}

class CentersTest : public BackendTest {
 protected:
  // Compares three heads of different limits in one call, in chunks of these
  // sizes.
  void Compare(const Setting& setting, const std::vector<int64_t>& chunks) {
    std::vector<Head> tested, expected;
    for (int head = 0; head < 3; ++head) {
      Setting own = setting;
      own.limit += 7 * head;
      tested.emplace_back(own);
      expected.emplace_back(own);
    }
    ASSERT_NO_FATAL_FAILURE(
        CompareHeads(&tested, &expected, chunks, setting.format, setting.dim,
                     [&](const auto& tasks, const auto& reference_tasks) {
                       tested_->InsertCenters(tasks);
                       reference_->InsertCenters(reference_tasks);
                     }));
    for (int head = 0; head < 3; ++head) {
      const CenterTask task = tested[head].Shrink(setting.limit / 2);
      const CenterTask reference = expected[head].Shrink(setting.limit / 2);
      tested_->InsertCenters({&task, 1});
      reference_->InsertCenters({&reference, 1});
      ASSERT_NO_FATAL_FAILURE(tested[head].ExpectAs(expected[head]));
    }
  }
};

TEST_P(CentersTest, EveryMetricKeepsWhatTheReferenceKeeps) {
  for (const bool values : {false, true}) {
    for (const bool keys : {false, true}) {
      if (!keys && !values) continue;
      for (const int exponent : {0, 1, 3}) {
        SCOPED_TRACE(testing::Message() << "keys " << keys << " values "
                                        << values << " exponent " << exponent);
        Setting setting;
        setting.metric = Metric(keys, values, exponent);
        ASSERT_NO_FATAL_FAILURE(
            Compare(setting, {1, 30, 1, 1, 32, 1, 17, 32, 1, 1, 1}));
      }
    }
  }
}

TEST_P(CentersTest, EveryFormatAndSizeKeepsWhatTheReferenceKeeps) {
  for (const RowFormat format : kRowFormats) {
    for (const int64_t dim : {1, 20, 64, 80, 256}) {
      if (!Fits(format, dim)) continue;
      SCOPED_TRACE(testing::Message() << RowFormatName(format) << " " << dim);
      // One number has two directions.
      Setting setting;
      setting.metric = Metric(dim > 1, true, dim > 1 ? 3 : 0);
      setting.format = format;
      setting.dim = dim;
      setting.limit = 33;
      ASSERT_NO_FATAL_FAILURE(Compare(setting, {32, 32, 5, 1, 1}));
    }
  }
}

TEST_P(CentersTest, ManyCentersAndOneKeepWhatTheReferenceKeeps) {
  for (const int64_t limit : {2, 3, 700}) {
    SCOPED_TRACE(limit);
    Setting setting;
    setting.metric = Metric(true, true, 3);
    setting.limit = limit;
    std::vector<int64_t> chunks(limit / 32 + 3, 32);
    chunks.push_back(1);
    ASSERT_NO_FATAL_FAILURE(Compare(setting, chunks));
  }
}

TEST_P(CentersTest, WithoutCountsNothingIsCounted) {
  Setting setting;
  setting.metric = Metric(true, true, 3);
  setting.metric.count_exponent = 0.0;
  ASSERT_NO_FATAL_FAILURE(Compare(setting, {32, 32, 9, 1}));
}

INSTANTIATE_TEST_SUITE_P(All, CentersTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
