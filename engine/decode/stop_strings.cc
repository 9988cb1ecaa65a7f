#include "engine/decode/stop_strings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace subgen {

std::string StopStrings::Push(absl::string_view text) {
  if (found_) return "";
  held_.append(text.data(), text.size());
  size_t stop = std::string::npos;
  for (const std::string& each : stops_) {
    stop = std::min(stop, held_.find(each));
  }
  if (stop != std::string::npos) {
    found_ = true;
    std::string before = held_.substr(0, stop);
    held_.clear();
    return before;
  }
  // Hold back the longest end of the text that begins a stop string.
  size_t hold = 0;
  for (const std::string& each : stops_) {
    for (size_t n = std::min(each.size() - 1, held_.size()); n > hold; --n) {
      if (absl::EndsWith(held_, absl::string_view(each).substr(0, n))) hold = n;
    }
  }
  std::string certain = held_.substr(0, held_.size() - hold);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopStrings::Finish() { return std::exchange(held_, ""); }

}  // namespace subgen
