// This looks for stop strings in streamed text.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace subgen {

// Gives text out as soon as it cannot be part of a stop string any more.
class StopStrings {
 public:
  // Empty strings are not legal.
  explicit StopStrings(std::vector<std::string> stops)
      : stops_(std::move(stops)) {}

  // Returns the text that is certain now. After a stop string has been met,
  // found() is true, nothing more comes out, and the stop string itself never
  // does.
  std::string Push(absl::string_view text);
  // Returns what was held back, at the end.
  std::string Finish();
  bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace subgen
