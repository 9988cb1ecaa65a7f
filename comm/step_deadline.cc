#include "comm/step_deadline.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/base/check.h"

namespace subgen {

StepDeadline::StepDeadline(double seconds, std::string who)
    : seconds_(seconds), who_(std::move(who)) {
  SUBGEN_CHECK(seconds >= 0.0, "deadline of ", seconds, " s");
  if (seconds_ > 0.0) watcher_ = std::thread([this] { Watch(); });
}

StepDeadline::~StepDeadline() {
  if (!watcher_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_one();
  watcher_.join();
}

void StepDeadline::Arm(std::string what) {
  if (seconds_ == 0.0) return;
  const std::lock_guard lock(mutex_);
  armed_ = true;
  what_ = std::move(what);
  start_ = Clock::now();
}

void StepDeadline::Disarm() {
  if (seconds_ == 0.0) return;
  const std::lock_guard lock(mutex_);
  armed_ = false;
}

void StepDeadline::Watch() {
  const std::chrono::duration<double> pause(
      std::clamp(seconds_ / 8, 0.001, 1.0));
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, pause, [this] { return stop_; })) {
    CheckLocked();
  }
}

void StepDeadline::CheckLocked() const {
  if (!armed_) return;
  const std::chrono::duration<double> spent = Clock::now() - start_;
  if (spent.count() <= seconds_) return;
  Fatal(absl::StrCat(who_, who_.empty() ? "" : ": ", what_, " exceeded ",
                     seconds_,
                     " s: a rank hangs, or step_deadline_seconds is too short "
                     "for this machine (0 turns it off)"));
}

}  // namespace subgen
