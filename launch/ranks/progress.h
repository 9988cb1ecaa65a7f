// Progress says how far a long piece of work is, on standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace subgen {

struct Progress {
  int64_t done = 0;
  int64_t total = 0;
  double seconds = 0.0;  // spent on what is done
};

// Formats "reading the prompt [####......]  42 %  1,008 of 2,400 tokens  812
// tokens/s  0:02 left" on one line of at most `columns` bytes. If there is less
// room, the bar is shorter, then it goes, then the end of the line. Speed and
// time left are those of the pace so far, and absent before anything is done.
std::string FormatProgress(const std::string& what, const std::string& unit,
                           const Progress& progress, int columns);

// On a terminal this is one line, rewritten at most ten times a second and
// cleared at the end. Elsewhere it is a plain line every ten seconds, so short
// work prints none.
class ProgressBar {
 public:
  // `what` is done to many of `unit`, for example "reading the prompt" and
  // "tokens".
  ProgressBar(std::string what, std::string unit);
  ProgressBar(const ProgressBar&) = delete;
  ~ProgressBar();

  // Says that `done` of `total` are done. The pace is counted from the last
  // time that nothing was done, at first from when the bar was made.
  void Show(int64_t done, int64_t total);
  // Sets what is being done from the next Show on.
  void Rename(std::string what);

 private:
  using Clock = std::chrono::steady_clock;
  void Clear();

  std::string what_;
  const std::string unit_;
  const bool terminal_;
  Clock::time_point start_;  // of the work
  Clock::time_point shown_;  // the last line
  int64_t done_ = 0;
  bool visible_ = false;
  bool renamed_ = false;
};

}  // namespace subgen
