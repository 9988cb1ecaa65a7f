// Thread ranks meet in a group. It is part of thread_ranks.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "comm/communicator.h"

namespace subgen::thread_ranks {

// This exception unwinds a rank that waits for one that has returned. Numbers
// are ranks of the whole run. Only RunThreadRanks catches it.
struct PeerLeft {
  int waiting;
  int left;
};

class Group;

// One rank hands this in to a collective; everything stays valid until the
// collective ends.
struct Call {
  enum class Kind { kAllReduce, kAllGather, kBroadcast, kSplit };
  Kind kind = Kind::kSplit;
  int64_t size = 0;  // of the whole result
  int argument = 0;  // the op, the root or the color
  Vector<const float> in;
  Vector<float> out;
  Vector<std::byte> bytes;
  Vector<const int> counts;
  std::shared_ptr<Group>* child = nullptr;
};

// A team is all groups of one run.
class Team {
 public:
  void Add(const std::shared_ptr<Group>& group);
  // From now on `rank` of the whole run does not come any more.
  void Leave(int rank);

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<Group>> groups_;
};

class Group {
 public:
  // members[i] is the rank in the whole run of rank i of the group.
  static std::shared_ptr<Group> Make(std::shared_ptr<Team> team,
                                     std::vector<int> members);

  int size() const { return static_cast<int>(members_.size()); }
  int Member(int rank) const { return members_[rank]; }
  int RankOf(int member) const;
  // Sleeps until all ranks of the group have come; the last one does the work
  // for all. Throws PeerLeft.
  void Meet(int rank, const Call& call);
  void Leave(int member);

 private:
  Group(std::shared_ptr<Team> team, std::vector<int> members);

  void Finish();
  void CheckSameCalls() const;
  void Reduce();
  void Gather();
  void Spread();
  void Divide();

  const std::shared_ptr<Team> team_;
  const std::vector<int> members_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Call> calls_;  // of the round that is being filled
  int arrived_ = 0;
  int64_t round_ = 0;
  int left_ = -1;  // a member that has left, in the whole run's ranks
};

}  // namespace subgen::thread_ranks
