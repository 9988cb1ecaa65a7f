#include "launch/bench/comm_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "comm/thread_ranks.h"
#include "launch/bench/comm_table.h"

namespace subgen {
namespace {

using testing::HasSubstr;

// This forwards, but damages one number of every all-reduce and all-gather.
class Damaging final : public Communicator {
 public:
  explicit Damaging(Communicator& inner) : inner_(inner) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::unique_ptr<Communicator> Split(int color) override {
    return inner_.Split(color);
  }

 protected:
  // It leaves the bits of GatherFromRanks, which are too few.
  void DoAllReduce(Vector<float> data, ReduceOp op) override {
    inner_.AllReduce(data, op);
    data.front() += 1.0f;
  }
  void DoAllGather(Vector<const float> mine, Vector<const int> counts,
                   Vector<float> all) override {
    inner_.AllGather(mine, counts, all);
    if (all.size() >= 100) all.front() += 1.0f;
  }
  void DoBroadcast(Vector<std::byte> data, int root) override {
    inner_.Broadcast(data, root);
  }

 private:
  Communicator& inner_;
};

CommBenchOptions Few() {
  CommBenchOptions options;
  options.head_dim = 10;
  options.warm_up = 1;
  options.calls = 2;
  return options;
}

TEST(MeasureComm, FindsNothingWrongWhereNothingIs) {
  for (const int ranks : {1, 2, 3}) {
    const absl::Status status = RunThreadRanks(
        ranks, [&](std::unique_ptr<Communicator> world) -> absl::Status {
          for (const CommOperation operation : kCommOperations) {
            for (const int64_t count : {1, 17, 1200}) {
              const CommRow row = MeasureComm(operation, count, Few(), *world);
              EXPECT_EQ(row.wrong, 0) << CommOperationName(operation);
              EXPECT_EQ(row.ranks, ranks);
              EXPECT_GT(row.microseconds, 0.0);
            }
          }
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(MeasureComm, FindsDamage) {
  const absl::Status status = RunThreadRanks(
      2, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        Damaging damaging(*world);
        for (const CommOperation operation : kCommOperations) {
          const CommRow row = MeasureComm(operation, 1200, Few(), damaging);
          EXPECT_GT(row.wrong, 0) << CommOperationName(operation);
        }
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(CommRow, BandwidthsByHand) {
  CommRow row;
  row.count = 250000;  // a megabyte
  row.microseconds = 500.0;
  row.ranks = 4;
  EXPECT_DOUBLE_EQ(row.algorithm_bandwidth(), 2.0);
  EXPECT_DOUBLE_EQ(row.bus_bandwidth(), 3.0);
  row.operation = CommOperation::kAllGather;
  EXPECT_DOUBLE_EQ(row.bus_bandwidth(), 1.5);
  row.operation = CommOperation::kMergeByAllGather;
  EXPECT_DOUBLE_EQ(row.bus_bandwidth(), 6.0);
}

TEST(MessageFloats, ByHand) {
  ModelConfig model;
  model.embedding = 576;
  model.query_heads = 9;
  model.kv_heads = 3;
  model.head_dim = 64;
  model.vocabulary = 49152;
  const auto floats = [&](CommOperation operation, int ranks) {
    return MessageFloats(operation, 2, model, ranks);
  };
  EXPECT_EQ(floats(CommOperation::kAllReduceSum, 2), 2 * 576);
  EXPECT_EQ(floats(CommOperation::kAllReduceMax, 2), 2 * 6);
  EXPECT_EQ(floats(CommOperation::kAllGather, 2), 49152);
  EXPECT_EQ(floats(CommOperation::kMergeByAllGather, 2), 2 * 6 * 66);
  EXPECT_EQ(floats(CommOperation::kMergeByAllReduce, 6), 2 * 3 * 66);
}

TEST(EngineMessages, EachHasANameOfItsOwn) {
  ModelConfig model;
  model.embedding = 576;
  model.query_heads = 9;
  model.kv_heads = 3;
  model.head_dim = 64;
  model.vocabulary = 49152;
  std::set<std::string> names;
  const std::vector<EngineMessage> messages = EngineMessages(model, 128, 2);
  for (const EngineMessage& message : messages) {
    EXPECT_TRUE(
        names.insert(CommOperationName(message.operation) + message.step)
            .second)
        << message.step;
    EXPECT_FALSE(message.step.empty());
  }
  EXPECT_EQ(messages.size(), 9u);  // the logits of one token only
  EXPECT_EQ(messages[0].floats, 576);
  EXPECT_EQ(messages[0].step, "attention output or feed-forward, decode");
  EXPECT_EQ(messages[1].floats, 128 * 576);
  EXPECT_EQ(messages[1].step,
            "attention output or feed-forward, prompt by 128");
}

TEST(CommTable, HasTheColumnsOfNcclTests) {
  CommRow row;
  row.count = 256;
  row.microseconds = 8.0;
  row.ranks = 2;
  CommTable text("mpi", CommFormat::kText);
  const std::string lines = text.Add(row);
  for (const std::string column : {"size", "count", "type", "redop", "root",
                                   "time", "algbw", "busbw", "#wrong"}) {
    EXPECT_THAT(lines, HasSubstr(column));
  }
  EXPECT_THAT(lines, HasSubstr("# 2 ranks over mpi"));
  EXPECT_THAT(text.Add(row), testing::Not(HasSubstr("#")));
  EXPECT_THAT(text.End(), HasSubstr("# Out of bounds values : 0 OK"));
  row.wrong = 3;
  text.Add(row);
  EXPECT_EQ(text.wrong(), 3);
  EXPECT_THAT(text.End(), HasSubstr("3 FAILED"));
  row.step = "logits, decode";
  EXPECT_THAT(text.Add(row), testing::EndsWith(" 3  logits, decode\n"));
  CommTable csv("mpi", CommFormat::kCsv);
  EXPECT_THAT(csv.Add(row),
              HasSubstr("\nmpi,2,all_reduce,1024,256,float,sum,-1,8.0,"));
  EXPECT_THAT(csv.Add(row), testing::EndsWith(",3,\"logits, decode\"\n"));
}

}  // namespace
}  // namespace subgen
