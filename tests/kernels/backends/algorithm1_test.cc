// A stream of tokens goes into clusters and value samples: after every call
// each backend holds the same ones as the reference, by the same draws. What
// their sums are on average is tested in engine/cache/streaming_test.cc.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/backends/joining_tokens.h"

namespace subgen {
namespace {

struct Setting {
  RowFormat format = RowFormat::kF32;
  int64_t dim = 16;
  int64_t clusters = 20;
  int64_t samples = 3;
  int64_t slots = 15;
  double radius = 0.0;
};

// This is one head, with all arrays as large as they may become.
class Head {
 public:
  Head(const Setting& setting, int head)
      : setting_(setting),
        place_(7, 3, head),
        row_bytes_(RowBytes(setting.format, setting.dim)),
        representatives_(setting.clusters * row_bytes_),
        sample_keys_(setting.clusters * setting.samples * row_bytes_),
        slot_keys_(setting.slots * row_bytes_),
        slot_values_(setting.slots * row_bytes_),
        counts_(setting.clusters),
        sample_bias_(setting.clusters * setting.samples),
        log_norms_(setting.slots),
        slot_bias_(setting.slots),
        totals_({setting.radius * setting.radius, 0.0}) {}

  ClusterTask Insert(const Rows& keys, const Rows& values) {
    positions_.clear();
    for (int64_t i = 0; i < keys.count; ++i) positions_.push_back(entered++);
    ClusterTask task;
    task.arrays.format = setting_.format;
    task.arrays.dim = setting_.dim;
    task.arrays.samples = setting_.samples;
    task.arrays.representatives = representatives_.data();
    task.arrays.sample_keys = sample_keys_.data();
    task.arrays.counts = counts_;
    task.arrays.sample_bias = sample_bias_;
    task.arrays.slot_keys = slot_keys_.data();
    task.arrays.slot_values = slot_values_.data();
    task.arrays.log_norms = log_norms_;
    task.arrays.slot_bias = slot_bias_;
    task.arrays.totals = totals_;
    task.limit = setting_.clusters;
    task.place = place_;
    task.keys = keys;
    task.values = values;
    task.positions = positions_;
    return task;
  }

  void ExpectAs(const Head& other) const {
    ASSERT_EQ(counts_, other.counts_);
    const int64_t held =
        std::find(counts_.begin(), counts_.end(), 0) - counts_.begin();
    ExpectRows(representatives_, other.representatives_, held);
    ExpectRows(sample_keys_, other.sample_keys_, held * setting_.samples);
    ExpectRows(slot_keys_, other.slot_keys_, setting_.slots);
    ExpectRows(slot_values_, other.slot_values_, setting_.slots);
    for (size_t i = 0; i < sample_bias_.size(); ++i) {
      ASSERT_FLOAT_EQ(sample_bias_[i], other.sample_bias_[i]) << i;
    }
    for (size_t i = 0; i < slot_bias_.size(); ++i) {
      ASSERT_FLOAT_EQ(log_norms_[i], other.log_norms_[i]) << i;
      // The bias is a difference of logarithms, each off by half a unit of the
      // larger.
      ASSERT_NEAR(
          slot_bias_[i], other.slot_bias_[i],
          4 * kUnit * (1.0 + std::abs(log_norms_[i]) + std::abs(slot_bias_[i])))
          << i;
    }
    // The radius is of a distance in floats (distances_test.cc).
    ASSERT_NEAR(totals_[0], other.totals_[0],
                kUnit * (8 * setting_.dim + 32) * (1.0 + totals_[0]));
    ASSERT_NEAR(totals_[1], other.totals_[1], 1e-12 * (1.0 + totals_[1]));
  }

  int64_t entered = 0;

 private:
  void ExpectRows(const std::vector<std::byte>& got,
                  const std::vector<std::byte>& want, int64_t count) const {
    ASSERT_TRUE(std::equal(got.begin(), got.begin() + count * row_bytes_,
                           want.begin()));
  }

  Setting setting_;
  RandomPlace place_;
  int64_t row_bytes_;
  std::vector<std::byte> representatives_, sample_keys_, slot_keys_,
      slot_values_;
  std::vector<int32_t> counts_;
  std::vector<float> sample_bias_, log_norms_, slot_bias_;
  std::vector<double> totals_;
  std::vector<int64_t> positions_;
};

class ClustersTest : public BackendTest {
 protected:
  // Compares three heads in one call, in chunks of these sizes.
  void Compare(const Setting& setting, const std::vector<int64_t>& chunks) {
    std::vector<Head> tested, expected;
    for (int head = 0; head < 3; ++head) {
      Setting own = setting;
      own.clusters += 3 * head;
      tested.emplace_back(own, head);
      expected.emplace_back(own, head);
    }
    CompareHeads(&tested, &expected, chunks, setting.format, setting.dim,
                 [&](const auto& tasks, const auto& reference_tasks) {
                   tested_->InsertClusters(tasks);
                   reference_->InsertClusters(reference_tasks);
                 });
  }
};

TEST_P(ClustersTest, HoldsWhatTheReferenceHolds) {
  for (const int64_t samples : {1, 3, 40}) {
    for (const double radius : {0.0, 3.0, 1000.0}) {
      SCOPED_TRACE(testing::Message() << samples << " samples " << radius);
      Setting setting;
      setting.samples = samples;
      setting.radius = radius;
      ASSERT_NO_FATAL_FAILURE(
          Compare(setting, {1, 10, 1, 1, 32, 1, 17, 32, 1, 40}));
    }
  }
}

TEST_P(ClustersTest, EveryFormatAndSizeHoldsWhatTheReferenceHolds) {
  for (const RowFormat format : kRowFormats) {
    for (const int64_t dim : {1, 20, 64, 80, 256}) {
      if (!Fits(format, dim)) continue;
      SCOPED_TRACE(testing::Message() << RowFormatName(format) << " " << dim);
      Setting setting;
      setting.format = format;
      setting.dim = dim;
      ASSERT_NO_FATAL_FAILURE(Compare(setting, {32, 32, 5, 1}));
    }
  }
}

TEST_P(ClustersTest, ManyClustersAndOneHoldWhatTheReferenceHolds) {
  for (const int64_t clusters : {1, 2, 300}) {
    SCOPED_TRACE(clusters);
    Setting setting;
    setting.clusters = clusters;
    setting.slots = 1 + clusters;
    std::vector<int64_t> chunks(clusters / 32 + 2, 32);
    chunks.push_back(1);
    ASSERT_NO_FATAL_FAILURE(Compare(setting, chunks));
  }
}

// Nothing merges, nothing is near; no slot takes a value of no length.
TEST_P(ClustersTest, KeysThatAreNoNumbersJoinTheFirst) {
  Setting setting;
  setting.clusters = 4;
  Head tested(setting, 0), expected(setting, 0);
  for (int step = 0; step < 3; ++step) {
    RandomMatrix keys(6, setting.dim, 10 + step), values(6, setting.dim, step);
    for (const int64_t row : {0, 2, 3}) {
      keys.view().row(row)[1] = std::numeric_limits<float>::quiet_NaN();
    }
    std::fill_n(values.numbers().begin(), 2 * setting.dim, 0.0f);
    const StoredRows stored(RowFormat::kF32, keys.view());
    const StoredRows others(RowFormat::kF32, values.view());
    const ClusterTask task = tested.Insert(stored.rows(), others.rows());
    const ClusterTask reference = expected.Insert(stored.rows(), others.rows());
    tested_->InsertClusters({&task, 1});
    reference_->InsertClusters({&reference, 1});
    ASSERT_NO_FATAL_FAILURE(tested.ExpectAs(expected)) << step;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ClustersTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
