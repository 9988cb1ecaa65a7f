#include "launch/ranks/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace subgen {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;

constexpr int kBarWidth = 30;
constexpr int kLeastBarWidth = 4;
constexpr milliseconds kBetweenTerminalLines(100);
constexpr milliseconds kBetweenPlainLines(10000);

std::string WithCommas(int64_t number) {
  std::string digits = absl::StrCat(number);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string Rate(double per_second) {
  if (per_second < 9.95) return absl::StrFormat("%.2g", per_second);
  return WithCommas(std::llround(per_second));
}

std::string ClockTime(double seconds) {
  const int64_t whole = static_cast<int64_t>(std::ceil(seconds));
  const int64_t minutes = whole / 60;
  if (minutes < 60) return absl::StrFormat("%d:%02d", minutes, whole % 60);
  return absl::StrFormat("%d:%02d:%02d", minutes / 60, minutes % 60,
                         whole % 60);
}

// Returns the first bytes, without part of a character at their end.
std::string Cut(const std::string& text, int bytes) {
  size_t end = std::min(text.size(), static_cast<size_t>(std::max(bytes, 0)));
  while (end > 0 && end < text.size() && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

// A line that filled the last column would go on below it.
int Columns() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return 79;
  }
  return size.ws_col - 1;
}

}  // namespace

std::string FormatProgress(const std::string& what, const std::string& unit,
                           const Progress& progress, int columns) {
  const int64_t total = std::max<int64_t>(progress.total, 1);
  const int64_t done = std::clamp<int64_t>(progress.done, 0, total);
  const double share = static_cast<double>(done) / static_cast<double>(total);
  std::string rest =
      absl::StrFormat(" %3d %%  %s of %s %s", static_cast<int>(100.0 * share),
                      WithCommas(done), WithCommas(total), unit);
  if (done > 0 && progress.seconds > 0.0) {
    const double pace = static_cast<double>(done) / progress.seconds;
    absl::StrAppend(&rest, "  ", Rate(pace), " ", unit, "/s  ",
                    ClockTime(static_cast<double>(total - done) / pace),
                    " left");
  }
  const int brackets = 3;  // with the space before them
  const int room = columns - brackets - static_cast<int>(what.size()) -
                   static_cast<int>(rest.size());
  if (room < kLeastBarWidth) return Cut(what + rest, columns);
  const int width = std::min(room, kBarWidth);
  const int full = static_cast<int>(width * share);
  return absl::StrCat(what, " [", std::string(full, '#'),
                      std::string(width - full, '.'), "]", rest);
}

ProgressBar::ProgressBar(std::string what, std::string unit)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      shown_(start_) {}

ProgressBar::~ProgressBar() { Clear(); }

void ProgressBar::Clear() {
  if (visible_) std::fputs("\r\x1b[K", stderr);
  visible_ = false;
}

void ProgressBar::Rename(std::string what) {
  renamed_ |= what != what_;
  what_ = std::move(what);
}

void ProgressBar::Show(int64_t done, int64_t total) {
  const Clock::time_point now = Clock::now();
  if (done < done_ || done == 0) start_ = now;
  done_ = done;
  if (done >= total) return Clear();
  const Clock::duration since = now - shown_;
  const bool first = terminal_ && (!visible_ || renamed_);
  if (!first &&
      since < (terminal_ ? kBetweenTerminalLines : kBetweenPlainLines)) {
    return;
  }
  shown_ = now;
  renamed_ = false;
  const Progress progress = {done, total,
                             duration<double>(now - start_).count()};
  const std::string line =
      FormatProgress(what_, unit_, progress, terminal_ ? Columns() : 200);
  std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
  std::fflush(stderr);
  visible_ = terminal_;
}

}  // namespace subgen
