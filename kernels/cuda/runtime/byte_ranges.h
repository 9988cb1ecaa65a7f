// This is a set of bytes, kept as ranges that do not touch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace subgen::cuda {

struct ByteRange {
  int64_t first = 0;
  int64_t end = 0;
  bool operator==(const ByteRange&) const = default;
};

class ByteRanges {
 public:
  bool empty() const { return ends_.empty(); }

  void Add(ByteRange range) {
    if (range.first >= range.end) return;
    auto at = ends_.upper_bound(range.first);
    if (at != ends_.begin() && std::prev(at)->second >= range.first) --at;
    if (at != ends_.end() && at->first <= range.first &&
        at->second >= range.end) {
      return;  // as mostly
    }
    while (at != ends_.end() && at->first <= range.end) {
      range.first = std::min(range.first, at->first);
      range.end = std::max(range.end, at->second);
      at = ends_.erase(at);
    }
    ends_.emplace(range.first, range.end);
  }

  void Remove(ByteRange range) {
    if (empty()) return;
    for (const ByteRange& part : Within(range)) {
      auto at = std::prev(ends_.upper_bound(part.first));
      const ByteRange whole = {at->first, at->second};
      ends_.erase(at);
      if (whole.first < part.first) ends_.emplace(whole.first, part.first);
      if (part.end < whole.end) ends_.emplace(part.end, whole.end);
    }
  }

  // Returns the part of the set that lies in the range.
  std::vector<ByteRange> Within(ByteRange range) const {
    std::vector<ByteRange> parts;
    auto at = ends_.upper_bound(range.first);
    if (at != ends_.begin()) --at;
    for (; at != ends_.end() && at->first < range.end; ++at) {
      const ByteRange part = {std::max(range.first, at->first),
                              std::min(range.end, at->second)};
      if (part.first < part.end) parts.push_back(part);
    }
    return parts;
  }

 private:
  std::map<int64_t, int64_t> ends_;  // by first
};

}  // namespace subgen::cuda
