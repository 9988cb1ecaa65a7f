#include "launch/bench/step_clock.h"

#include <algorithm>
#include <utility>

#include "kernels/backend.h"

namespace subgen {

class TimedCommunicator final : public Communicator {
 public:
  TimedCommunicator(std::unique_ptr<Communicator> inner, StepClock& clock)
      : inner_(std::move(inner)), clock_(clock) {
    clock_.timed_.push_back(this);
  }
  ~TimedCommunicator() override {
    auto& all = clock_.timed_;
    all.erase(std::remove(all.begin(), all.end(), this), all.end());
  }

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  std::unique_ptr<Communicator> Split(int color) override {
    return std::make_unique<TimedCommunicator>(inner_->Split(color), clock_);
  }

  Communicator& inner() { return *inner_; }
  void BeginLap() { calls_.emplace_back(); }
  // Returns the seconds of each call of each lap.
  const std::vector<std::vector<float>>& calls() const { return calls_; }

 protected:
  void DoAllReduce(Vector<float> data, ReduceOp op) override {
    Time([&] { inner_->AllReduce(data, op); });
  }
  void DoAllGather(Vector<const float> mine, Vector<const int> counts,
                   Vector<float> all) override {
    Time([&] { inner_->AllGather(mine, counts, all); });
  }
  void DoBroadcast(Vector<std::byte> data, int root) override {
    Time([&] { inner_->Broadcast(data, root); });
  }
  bool QueueAllReduce(Backend& backend, Vector<float> data,
                      ReduceOp op) override {
    TimeOn(backend, [&] { inner_->AllReduce(backend, data, op); });
    return true;
  }
  bool QueueAllGather(Backend& backend, Vector<const float> mine,
                      Vector<const int> counts, Vector<float> all) override {
    TimeOn(backend, [&] { inner_->AllGather(backend, mine, counts, all); });
    return true;
  }

 private:
  // On a queue a call only appends. In a lap of parts, the queue is waited for
  // before the call and again after it.
  template <class Call>
  void TimeOn(Backend& backend, const Call& call) {
    if (clock_.in_parts_) backend.Wait();
    Time([&] {
      call();
      if (clock_.in_parts_) backend.Wait();
    });
  }
  template <class Call>
  void Time(const Call& call) {
    const auto start = StepClock::Clock::now();
    call();
    const std::chrono::duration<double> spent = StepClock::Clock::now() - start;
    clock_.communication_seconds_ += spent.count();
    if (!clock_.booking_) return;
    calls_.back().push_back(static_cast<float>(spent.count()));
  }

  const std::unique_ptr<Communicator> inner_;
  StepClock& clock_;
  std::vector<std::vector<float>> calls_;
};

void StepClock::BeginLap() {
  booking_ = true;
  const int64_t lap = laps_.size();
  in_parts_ = laps_in_parts_ == nullptr || laps_in_parts_(lap);
  laps_.emplace_back();
  for (TimedCommunicator* timed : timed_) timed->BeginLap();
}

void StepClock::AddAttention(double seconds) {
  if (booking_) laps_.back().attention += seconds;
}

void StepClock::AddUpdate(double seconds) {
  if (booking_) laps_.back().update += seconds;
}

std::unique_ptr<Communicator> StepClock::Time(
    std::unique_ptr<Communicator> world) {
  return std::make_unique<TimedCommunicator>(std::move(world), *this);
}

std::vector<LapTimes> StepClock::MeanLaps() {
  EndLap();
  std::vector<LapTimes> laps = laps_;
  for (TimedCommunicator* timed : timed_) {
    for (size_t lap = 0; lap < laps.size(); ++lap) {
      std::vector<float> shortest = timed->calls()[lap];
      for (float& call : shortest) call = -call;
      timed->inner().AllReduce(shortest, ReduceOp::kMax);
      for (size_t i = 0; i < shortest.size(); ++i) {
        laps[lap].communication -= shortest[i];
        laps[lap].waiting += timed->calls()[lap][i] + shortest[i];
      }
    }
  }
  if (timed_.empty()) return laps;
  Communicator& world = timed_[0]->inner();
  for (LapTimes& lap : laps) {
    std::vector<float> sums = {
        static_cast<float>(lap.attention), static_cast<float>(lap.update),
        static_cast<float>(lap.communication), static_cast<float>(lap.waiting)};
    world.AllReduce(sums, ReduceOp::kSum);
    const double ranks = world.size();
    lap = {sums[0] / ranks, sums[1] / ranks, sums[2] / ranks, sums[3] / ranks};
  }
  return laps;
}

}  // namespace subgen
