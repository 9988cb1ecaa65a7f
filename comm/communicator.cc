#include "comm/communicator.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <numeric>

#include "kernels/backend.h"

namespace subgen {
namespace {

class SingleRank : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::unique_ptr<Communicator> Split(int color) override {
    SUBGEN_CHECK(color >= 0, "color ", color);
    return MakeSingleRank();
  }

 protected:  // the base class ends every call of a size-1 group
  void DoAllReduce(Vector<float>, ReduceOp) override {}
  void DoAllGather(Vector<const float>, Vector<const int>,
                   Vector<float>) override {}
  void DoBroadcast(Vector<std::byte>, int) override {}
};

// Adds the time of its scope, and one call, to the stats.
class CountCall {
 public:
  CountCall(CommunicatorStats* stats, int64_t bytes) : stats_(*stats) {
    stats_.calls += 1;
    stats_.bytes += bytes;
  }
  ~CountCall() {
    const std::chrono::duration<double> spent = Clock::now() - start_;
    stats_.seconds += spent.count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  CommunicatorStats& stats_;
  Clock::time_point start_ = Clock::now();
};

bool Overlap(Vector<const float> a, Vector<const float> b) {
  const std::less<const float*> before;
  return before(a.data(), b.data() + b.size()) &&
         before(b.data(), a.data() + a.size());
}

}  // namespace

void Communicator::AllReduce(Vector<float> data, ReduceOp op) {
  if (size() == 1 || data.empty()) return;
  const CountCall count(&stats_, data.size_bytes());
  DoAllReduce(data, op);
}

void Communicator::AllReduce(Backend& backend, Vector<float> data,
                             ReduceOp op) {
  if (size() == 1 || data.empty()) return;
  const CountCall count(&stats_, data.size_bytes());
  if (QueueAllReduce(backend, data, op)) return;
  ReadByHost(backend, data);
  DoAllReduce(data, op);
  WrittenByHost(backend, data);
}

void Communicator::CheckGather(Vector<const float> mine,
                               Vector<const int> counts,
                               Vector<float> all) const {
  SUBGEN_CHECK(static_cast<int>(counts.size()) == size(), counts.size(),
               " counts for ", size(), " ranks");
  for (const int count : counts) SUBGEN_CHECK(count >= 0, "count ", count);
  SUBGEN_CHECK(static_cast<int64_t>(mine.size()) == counts[rank()], mine.size(),
               " numbers where counts say ", counts[rank()]);
  const int64_t sum = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  SUBGEN_CHECK(static_cast<int64_t>(all.size()) == sum, all.size(),
               " places for ", sum, " numbers");
  SUBGEN_CHECK(all.empty() || !Overlap(mine, all));
}

void Communicator::AllGather(Vector<const float> mine, Vector<const int> counts,
                             Vector<float> all) {
  CheckGather(mine, counts, all);
  if (all.empty()) return;
  if (size() == 1) {
    std::copy(mine.begin(), mine.end(), all.begin());
    return;
  }
  const CountCall count(&stats_, mine.size_bytes());
  DoAllGather(mine, counts, all);
}

void Communicator::AllGather(Backend& backend, Vector<const float> mine,
                             Vector<const int> counts, Vector<float> all) {
  CheckGather(mine, counts, all);
  if (all.empty()) return;
  if (size() > 1) {
    const CountCall count(&stats_, mine.size_bytes());
    if (QueueAllGather(backend, mine, counts, all)) return;
    ReadByHost(backend, mine);
    DoAllGather(mine, counts, all);
  } else {
    ReadByHost(backend, mine);
    std::copy(mine.begin(), mine.end(), all.begin());
  }
  WrittenByHost(backend, all);
}

void Communicator::Broadcast(Vector<std::byte> data, int root) {
  SUBGEN_CHECK(root >= 0 && root < size(), "root ", root, " of ", size());
  if (size() == 1 || data.empty()) return;
  const CountCall count(&stats_, rank() == root ? data.size() : 0);
  DoBroadcast(data, root);
}

std::string BroadcastString(Communicator& ranks, std::string text, int root) {
  if (ranks.size() == 1) return text;
  // One message carries the size and the start of the text; a step descriptor
  // fits into it, so it costs one broadcast.
  constexpr size_t kFirst = 248;
  std::array<std::byte, sizeof(uint64_t) + kFirst> message{};
  uint64_t size = text.size();
  if (ranks.rank() == root) {
    std::memcpy(message.data(), &size, sizeof(size));
    std::memcpy(&message[sizeof(size)], text.data(), std::min(size, kFirst));
  }
  ranks.Broadcast(message, root);
  std::memcpy(&size, message.data(), sizeof(size));
  text.resize(size);
  std::memcpy(text.data(), &message[sizeof(size)], std::min(size, kFirst));
  const Vector<char> all(text.data(), text.size());
  if (size > kFirst) {
    ranks.Broadcast(std::as_writable_bytes(all.subspan(kFirst)), root);
  }
  return text;
}

std::unique_ptr<Communicator> MakeSingleRank() {
  return std::make_unique<SingleRank>();
}

}  // namespace subgen
