#include "comm/thread_group.h"

#include <algorithm>
#include <map>
#include <utility>

namespace subgen::thread_ranks {

void Team::Add(const std::shared_ptr<Group>& group) {
  const std::lock_guard lock(mutex_);
  groups_.push_back(group);
}

void Team::Leave(int rank) {
  std::vector<std::weak_ptr<Group>> groups;
  {
    const std::lock_guard lock(mutex_);
    groups = groups_;
  }
  // A group that is made from now on cannot have this rank in it, because a
  // split needs all ranks.
  for (const std::weak_ptr<Group>& weak : groups) {
    if (const std::shared_ptr<Group> group = weak.lock()) group->Leave(rank);
  }
}

Group::Group(std::shared_ptr<Team> team, std::vector<int> members)
    : team_(std::move(team)),
      members_(std::move(members)),
      calls_(members_.size()) {}

std::shared_ptr<Group> Group::Make(std::shared_ptr<Team> team,
                                   std::vector<int> members) {
  std::shared_ptr<Group> group(new Group(team, std::move(members)));
  team->Add(group);
  return group;
}

int Group::RankOf(int member) const {
  return std::find(members_.begin(), members_.end(), member) - members_.begin();
}

void Group::Leave(int member) {
  if (RankOf(member) == size()) return;
  {
    const std::lock_guard lock(mutex_);
    left_ = member;
  }
  changed_.notify_all();
}

void Group::Meet(int rank, const Call& call) {
  std::unique_lock lock(mutex_);
  calls_[rank] = call;
  if (++arrived_ == size()) {
    Finish();
    arrived_ = 0;
    ++round_;
    lock.unlock();
    changed_.notify_all();
    return;
  }
  const int64_t round = round_;
  changed_.wait(lock, [&] { return round_ != round || left_ >= 0; });
  // A rank that left after this round has done its part in it.
  if (round_ == round) throw PeerLeft{members_[rank], left_};
}

void Group::Finish() {
  CheckSameCalls();
  switch (calls_[0].kind) {
    case Call::Kind::kAllReduce:
      return Reduce();
    case Call::Kind::kAllGather:
      return Gather();
    case Call::Kind::kBroadcast:
      return Spread();
    case Call::Kind::kSplit:
      return Divide();
  }
}

void Group::CheckSameCalls() const {
  const Call& first = calls_[0];
  for (int rank = 1; rank < size(); ++rank) {
    const Call& call = calls_[rank];
    const bool same_argument =
        call.kind == Call::Kind::kSplit || call.argument == first.argument;
    SUBGEN_CHECK(
        call.kind == first.kind && call.size == first.size && same_argument &&
            std::ranges::equal(call.counts, first.counts),
        "ranks ", members_[0], " and ", members_[rank],
        " make different calls: kinds ", static_cast<int>(first.kind), " and ",
        static_cast<int>(call.kind), ", sizes ", first.size, " and ", call.size,
        ", arguments ", first.argument, " and ", call.argument);
  }
}

void Group::Reduce() {
  const bool sum = calls_[0].argument == static_cast<int>(ReduceOp::kSum);
  const Vector<float> total = calls_[0].out;
  for (int rank = 1; rank < size(); ++rank) {
    const Vector<float> more = calls_[rank].out;
    for (size_t i = 0; i < total.size(); ++i) {
      total[i] = sum ? total[i] + more[i] : std::max(total[i], more[i]);
    }
  }
  for (int rank = 1; rank < size(); ++rank) {
    std::copy(total.begin(), total.end(), calls_[rank].out.begin());
  }
}

void Group::Gather() {
  for (const Call& to : calls_) {
    auto place = to.out.begin();
    for (const Call& from : calls_) {
      place = std::copy(from.in.begin(), from.in.end(), place);
    }
  }
}

void Group::Spread() {
  const Vector<std::byte> from = calls_[calls_[0].argument].bytes;
  for (const Call& to : calls_) {
    if (to.bytes.data() == from.data()) continue;
    std::copy(from.begin(), from.end(), to.bytes.begin());
  }
}

void Group::Divide() {
  std::map<int, std::vector<int>> members;  // by color
  for (int rank = 0; rank < size(); ++rank) {
    members[calls_[rank].argument].push_back(members_[rank]);
  }
  std::map<int, std::shared_ptr<Group>> children;
  for (auto& [color, ranks] : members) {
    children[color] = Make(team_, std::move(ranks));
  }
  for (const Call& call : calls_) *call.child = children[call.argument];
}

}  // namespace subgen::thread_ranks
