// The clock says where the time of one rank's steps goes. Time is booked in
// laps; a lap is one repetition of a test, and every rank has the same laps.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace subgen {

// These are the seconds of one lap.
struct LapTimes {
  double attention = 0.0;      // to the past and inside the chunk
  double update = 0.0;         // of the cache: observe and append
  double communication = 0.0;  // collectives, as long as the last rank is in
  double waiting = 0.0;        // of this rank for that last one
};

class TimedCommunicator;

class StepClock {
 public:
  using Clock = std::chrono::steady_clock;

  // `in_parts` says of which laps the parts are timed, and says the same on
  // every rank; if it is empty, all are. If a device has a queue, each part of
  // such a lap is waited for, so that its time is its own, and the whole is
  // longer. Other laps are not disturbed, and their parts mean nothing.
  explicit StepClock(std::function<bool(int64_t lap)> in_parts = nullptr)
      : laps_in_parts_(std::move(in_parts)) {}

  // Time until the first lap, and between EndLap and BeginLap, is not booked.
  void BeginLap();
  void EndLap() { booking_ = in_parts_ = false; }
  // Returns whether the lap that has begun is timed in parts.
  bool in_parts() const { return in_parts_; }

  void AddAttention(double seconds);
  void AddUpdate(double seconds);
  // Returns the seconds in collectives since the start, booked or not.
  double communication_seconds() const { return communication_seconds_; }

  // Returns `world` with all its calls (and those of its splits) timed by this
  // clock, which outlives it.
  std::unique_ptr<Communicator> Time(std::unique_ptr<Communicator> world);
  // Returns the mean over ranks, lap by lap, the same on all ranks. A
  // collective takes as long as on the rank that spends the least time in it;
  // what others spend longer is waiting. Collective; the timed communicators
  // are alive.
  std::vector<LapTimes> MeanLaps();

 private:
  friend class TimedCommunicator;

  const std::function<bool(int64_t lap)> laps_in_parts_;
  bool booking_ = false, in_parts_ = false;
  double communication_seconds_ = 0.0;
  std::vector<LapTimes> laps_;             // attention and update
  std::vector<TimedCommunicator*> timed_;  // the world's first
};

}  // namespace subgen
