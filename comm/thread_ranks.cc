#include "comm/thread_ranks.h"

#include <exception>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "comm/thread_group.h"

namespace subgen {
namespace thread_ranks {
namespace {

class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Group> group, int rank)
      : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }

  std::unique_ptr<Communicator> Split(int color) override {
    SUBGEN_CHECK(color >= 0, "color ", color);
    std::shared_ptr<Group> child;
    Call call;
    call.argument = color;
    call.child = &child;
    group_->Meet(rank_, call);
    return std::make_unique<ThreadCommunicator>(
        child, child->RankOf(group_->Member(rank_)));
  }

 protected:
  void DoAllReduce(Vector<float> data, ReduceOp op) override {
    Call call;
    call.kind = Call::Kind::kAllReduce;
    call.size = data.size();
    call.argument = static_cast<int>(op);
    call.out = data;
    group_->Meet(rank_, call);
  }

  void DoAllGather(Vector<const float> mine, Vector<const int> counts,
                   Vector<float> all) override {
    Call call;
    call.kind = Call::Kind::kAllGather;
    call.size = all.size();
    call.in = mine;
    call.out = all;
    call.counts = counts;
    group_->Meet(rank_, call);
  }

  void DoBroadcast(Vector<std::byte> data, int root) override {
    Call call;
    call.kind = Call::Kind::kBroadcast;
    call.size = data.size();
    call.argument = root;
    call.bytes = data;
    group_->Meet(rank_, call);
  }

 private:
  std::shared_ptr<Group> group_;
  int rank_;
};

// This keeps the first error of a run.
class FirstError {
 public:
  void Note(const absl::Status& status) {
    const std::lock_guard lock(mutex_);
    first_.Update(status);
  }
  absl::Status Get() const { return first_; }

 private:
  std::mutex mutex_;
  absl::Status first_;
};

absl::Status RunBody(const RankBody& body, std::shared_ptr<Group> group,
                     int rank) {
  try {
    return body(std::make_unique<ThreadCommunicator>(std::move(group), rank));
  } catch (const PeerLeft& peer) {
    return absl::InternalError(absl::StrCat("rank ", peer.waiting,
                                            " waits in a collective for rank ",
                                            peer.left, ", which has returned"));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("rank ", rank, ": ", error.what()));
  }
}

}  // namespace
}  // namespace thread_ranks

absl::Status RunThreadRanks(int ranks, const RankBody& body) {
  SUBGEN_CHECK(ranks >= 1, ranks, " ranks");
  const auto team = std::make_shared<thread_ranks::Team>();
  std::vector<int> members(ranks);
  std::iota(members.begin(), members.end(), 0);
  const auto group = thread_ranks::Group::Make(team, std::move(members));
  thread_ranks::FirstError error;
  const auto run = [&](int rank) {
    error.Note(thread_ranks::RunBody(body, group, rank));
    team->Leave(rank);  // after the note: its peers' errors come second
  };
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    try {
      threads.emplace_back(run, rank);
    } catch (const std::system_error& failure) {
      error.Note(absl::ResourceExhaustedError(absl::StrCat(
          "no thread for rank ", rank, " of ", ranks, ": ", failure.what())));
      team->Leave(rank);
    }
  }
  for (std::thread& thread : threads) thread.join();
  return error.Get();
}

}  // namespace subgen
