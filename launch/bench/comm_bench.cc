#include "launch/bench/comm_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "comm/agreement.h"
#include "comm/partial_merge.h"
#include "kernels/base/random.h"

namespace subgen {
namespace {

// Numbers are small and whole, so that sums over up to 2^16 ranks are exact in
// any order.
float Number(int rank, int64_t i) { return (rank * 7 + i * 3) % 101 - 50; }

// A subject is an operation with its data, which is filled, run and checked.
class Subject {
 public:
  explicit Subject(Backend* backend) : backend_(backend) {}
  virtual ~Subject() = default;
  virtual int64_t count() const = 0;
  virtual void Fill() = 0;
  virtual void Run() = 0;             // where there is a queue, later
  virtual int64_t Wrong() const = 0;  // of this rank, after Fill and Run

 protected:
  Mirror* mirror() const {
    return backend_ == nullptr ? nullptr : backend_->mirror();
  }
  void Written(Vector<const float> numbers) const {
    if (backend_ != nullptr) WrittenByHost(*backend_, numbers);
  }
  void Read(Vector<const float> numbers) const {
    if (backend_ != nullptr) ReadByHost(*backend_, numbers);
  }

  Backend* const backend_;  // may be null
};

class ReduceSubject final : public Subject {
 public:
  ReduceSubject(Communicator& world, int64_t count, ReduceOp op,
                Backend* backend)
      : Subject(backend), world_(world), op_(op), data_(count, mirror()) {}

  int64_t count() const override { return data_.size(); }
  void Fill() override {
    for (int64_t i = 0; i < data_.size(); ++i) {
      data_[i] = Number(world_.rank(), i);
    }
    Written(data_.span());
  }
  void Run() override {
    if (backend_ == nullptr) return world_.AllReduce(data_.span(), op_);
    world_.AllReduce(*backend_, data_.span(), op_);
  }
  int64_t Wrong() const override {
    Read(data_.span());
    int64_t wrong = 0;
    for (int64_t i = 0; i < data_.size(); ++i) {
      float expected = Number(0, i);
      for (int rank = 1; rank < world_.size(); ++rank) {
        const float other = Number(rank, i);
        expected = op_ == ReduceOp::kSum ? expected + other
                                         : std::max(expected, other);
      }
      wrong += data_[i] != expected;
    }
    return wrong;
  }

 private:
  Communicator& world_;
  const ReduceOp op_;
  Buffer<float> data_;
};

class GatherSubject final : public Subject {
 public:
  GatherSubject(Communicator& world, int64_t count, Backend* backend)
      : Subject(backend),
        world_(world),
        mine_(std::max<int64_t>(1, count / world.size()), mirror()),
        all_(mine_.size() * world.size(), mirror()),
        counts_(world.size(), static_cast<int>(mine_.size())) {}

  int64_t count() const override { return all_.size(); }
  void Fill() override {
    for (int64_t i = 0; i < mine_.size(); ++i) {
      mine_[i] = Number(world_.rank(), i);
    }
    Written(mine_.span());
  }
  void Run() override {
    if (backend_ == nullptr) {
      return world_.AllGather(mine_.span(), counts_, all_.span());
    }
    world_.AllGather(*backend_, mine_.span(), counts_, all_.span());
  }
  int64_t Wrong() const override {
    Read(all_.span());
    int64_t wrong = 0;
    for (int64_t i = 0; i < all_.size(); ++i) {
      wrong += all_[i] !=
               Number(static_cast<int>(i / mine_.size()), i % mine_.size());
    }
    return wrong;
  }

 private:
  Communicator& world_;
  Buffer<float> mine_, all_;
  const std::vector<int> counts_;
};

class MergeSubject final : public Subject {
 public:
  MergeSubject(Communicator& world, MergeMethod method, int64_t count,
               const CommBenchOptions& options)
      : Subject(options.backend),
        world_(world),
        rows_(std::max<int64_t>(1, count / (options.head_dim + 2))),
        head_dim_(options.head_dim),
        merger_(world, method, rows_, head_dim_, backend_),
        partials_(rows_, head_dim_, mirror()) {}

  int64_t count() const override { return rows_ * (head_dim_ + 2); }
  void Fill() override {
    const SoftmaxPartials partials = partials_.Resize(rows_);
    for (int64_t row = 0; row < rows_; ++row) {
      partials.max_logit[row] = MaxLogit(world_.rank(), row);
      partials.partition[row] = Partition(world_.rank(), row);
      for (int64_t i = 0; i < head_dim_; ++i) {
        partials.weighted.row(row)[i] = Weighted(world_.rank(), row, i);
      }
    }
    Written(partials_.packed());
  }
  void Run() override { merger_.Merge(partials_); }
  int64_t Wrong() const override;

 private:
  // Each rank hands this in.
  static float MaxLogit(int rank, int64_t row) {
    return 0.125f * Number(rank, row);
  }
  static float Partition(int rank, int64_t row) {
    return 60.0f + Number(rank, row + 1);
  }
  static float Weighted(int rank, int64_t row, int64_t i) {
    return Number(rank, row + i + 2);
  }
  static bool Differs(double merged, double expected, double magnitude,
                      int ranks) {
    // A factor exp(x), |x| <= 12.5, of a float x has a relative error of 12.5
    // epsilon; a product and a sum over ranks follow.
    const double bound = (16.0 + ranks) * std::numeric_limits<float>::epsilon();
    return !(std::abs(merged - expected) <= bound * magnitude);
  }

  Communicator& world_;
  const int64_t rows_, head_dim_;
  PartialMerger merger_;
  mutable PartialsBuffer partials_;
};

int64_t MergeSubject::Wrong() const {
  Read(partials_.packed());
  const SoftmaxPartials merged = partials_.view();
  const int ranks = world_.size();
  int64_t wrong = 0;
  std::vector<double> scale(ranks);
  for (int64_t row = 0; row < rows_; ++row) {
    float max = MaxLogit(0, row);
    for (int rank = 1; rank < ranks; ++rank) {
      max = std::max(max, MaxLogit(rank, row));
    }
    double partition = 0.0;
    for (int rank = 0; rank < ranks; ++rank) {
      scale[rank] = std::exp(double{MaxLogit(rank, row)} - max);
      partition += scale[rank] * Partition(rank, row);
    }
    wrong += merged.max_logit[row] != max;
    wrong += Differs(merged.partition[row], partition, partition, ranks);
    for (int64_t i = 0; i < head_dim_; ++i) {
      double weighted = 0.0, magnitude = 0.0;
      for (int rank = 0; rank < ranks; ++rank) {
        const double part = scale[rank] * Weighted(rank, row, i);
        weighted += part;
        magnitude += std::abs(part);
      }
      wrong += Differs(merged.weighted.row(row)[i], weighted, magnitude, ranks);
    }
  }
  return wrong;
}

std::unique_ptr<Subject> MakeSubject(CommOperation operation, int64_t count,
                                     const CommBenchOptions& options,
                                     Communicator& world) {
  Backend* const backend = options.backend;
  switch (operation) {
    case CommOperation::kAllReduceSum:
      return std::make_unique<ReduceSubject>(world, count, ReduceOp::kSum,
                                             backend);
    case CommOperation::kAllReduceMax:
      return std::make_unique<ReduceSubject>(world, count, ReduceOp::kMax,
                                             backend);
    case CommOperation::kAllGather:
      return std::make_unique<GatherSubject>(world, count, backend);
    case CommOperation::kMergeByAllReduce:
      return std::make_unique<MergeSubject>(world, MergeMethod::kAllReduce,
                                            count, options);
    case CommOperation::kMergeByAllGather:
      return std::make_unique<MergeSubject>(world, MergeMethod::kAllGather,
                                            count, options);
  }
  return nullptr;
}

// Returns the mean seconds of a call on this rank. All ranks start together,
// with nothing left to do.
double Time(Subject& subject, const CommBenchOptions& options,
            Communicator& world) {
  const auto wait = [&] {
    if (options.backend != nullptr) options.backend->Wait();
  };
  wait();
  AgreeOnStatus(world, absl::OkStatus()).IgnoreError();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < options.calls; ++i) subject.Run();
  wait();
  const std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  return spent.count() / options.calls;
}

}  // namespace

std::string CommOperationName(CommOperation operation) {
  switch (operation) {
    case CommOperation::kAllReduceSum:
      return "all_reduce";
    case CommOperation::kAllReduceMax:
      return "all_reduce_max";
    case CommOperation::kAllGather:
      return "all_gather";
    case CommOperation::kMergeByAllReduce:
      return "merge_all_reduce";
    case CommOperation::kMergeByAllGather:
      return "merge_all_gather";
  }
  return "";
}

std::string ReductionName(CommOperation operation) {
  if (operation == CommOperation::kAllReduceSum) return "sum";
  if (operation == CommOperation::kAllReduceMax) return "max";
  return operation == CommOperation::kAllGather ? "none" : "merge";
}

double CommRow::algorithm_bandwidth() const {
  return microseconds > 0 ? bytes() / microseconds / 1e3 : 0.0;
}

double CommRow::bus_bandwidth() const {
  const double n = ranks;
  switch (operation) {
    case CommOperation::kAllReduceSum:
    case CommOperation::kAllReduceMax:
    case CommOperation::kMergeByAllReduce:
      return algorithm_bandwidth() * 2.0 * (n - 1.0) / n;
    case CommOperation::kAllGather:
      return algorithm_bandwidth() * (n - 1.0) / n;
    case CommOperation::kMergeByAllGather:  // n parts of this size
      return algorithm_bandwidth() * (n - 1.0);
  }
  return 0.0;
}

CommRow MeasureComm(CommOperation operation, int64_t count,
                    const CommBenchOptions& options, Communicator& world) {
  const auto subject = MakeSubject(operation, count, options, world);
  subject->Fill();
  subject->Run();
  struct Mine {
    int64_t wrong;
    double seconds;
  } mine{subject->Wrong(), 0.0};
  // If they are merged again and again, partials stay as they are but for their
  // size.
  subject->Fill();
  for (int i = 0; i < options.warm_up; ++i) subject->Run();
  // On a queue the calls of one wait are a list, which is a graph from the
  // third time on, as a decode step is. What Fill wrote is sent before.
  const bool queued =
      options.backend != nullptr && options.backend->mirror() != nullptr;
  for (int i = 0; i < (queued ? 3 : 1); ++i) {
    subject->Fill();
    if (queued) subject->Run();
    mine.seconds = Time(*subject, options, world);
  }
  CommRow row;
  row.operation = operation;
  row.count = subject->count();
  row.ranks = world.size();
  for (const Mine& rank : GatherFromRanks(world, mine)) {
    row.wrong += rank.wrong;
    row.microseconds = std::max(row.microseconds, 1e6 * rank.seconds);
  }
  return row;
}

}  // namespace subgen
