// The deadline finds a rank that hangs: a step that takes longer than it may
// ends the job.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace subgen {

class StepDeadline {
 public:
  // A step may take `seconds`; 0 turns the watch off. `who` starts the message,
  // such as "rank 1 of 4 on host7".
  explicit StepDeadline(double seconds, std::string who = "");
  ~StepDeadline();
  StepDeadline(const StepDeadline&) = delete;
  StepDeadline& operator=(const StepDeadline&) = delete;

  // Arm starts (or starts again) the time of `what`, and Disarm stops it. When
  // it runs out, a thread of this object calls Fatal, late by at most an eighth
  // of `seconds` or one second. Neither call wakes that thread.
  void Arm(std::string what);
  void Disarm();

 private:
  using Clock = std::chrono::steady_clock;

  void Watch();
  void CheckLocked() const;

  const double seconds_;
  const std::string who_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  bool armed_ = false;
  std::string what_;
  Clock::time_point start_;
  std::thread watcher_;
};

}  // namespace subgen
