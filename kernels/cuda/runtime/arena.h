// An arena is memory that is taken place by place and given back all at once,
// so that the same requests in the same order get the same addresses. It grows
// to what is needed and stays.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/cuda/runtime/device_memory.h"

namespace subgen::cuda {

// A place has the same bytes on both sides; there is no host side if an arena
// has none.
struct ArenaPlace {
  uint8_t* host = nullptr;  // pinned
  uint8_t* device = nullptr;
};

class Arena {
 public:
  enum class Sides { kDevice, kBoth };
  explicit Arena(Sides sides) : sides_(sides) {}

  // Returns memory that is not filled and is 256-byte aligned on the device.
  ArenaPlace Take(size_t bytes) {
    if (!HasRoom(bytes)) Grow(Aligned(bytes));
    Area& area = areas_.back();
    const ArenaPlace place = area.Place(area.used);
    area.used += Aligned(bytes);
    return place;
  }
  // Returns whether Take allocates nothing.
  bool HasRoom(size_t bytes) const {
    return !areas_.empty() &&
           areas_.back().used + Aligned(bytes) <= areas_.back().bytes();
  }

  // Gives all places back. Whoever took one is done with it in the order of the
  // stream; the next may get the same.
  void Rewind() {
    if (!areas_.empty()) areas_.back().used = areas_.back().seen = 0;
  }
  // Frees all but the largest area, when nothing on the device is using them.
  void Reset() {
    if (areas_.size() > 1) areas_.erase(areas_.begin(), areas_.end() - 1);
    Rewind();
  }

  // Calls with(place, bytes) for each area of what was taken since the last
  // call.
  template <class With>
  void ForEachNew(With with) {
    for (Area& area : areas_) {
      if (area.used == area.seen) continue;
      with(area.Place(area.seen), area.used - area.seen);
      area.seen = area.used;
    }
  }
  size_t used() const {
    size_t sum = 0;
    for (const Area& area : areas_) sum += area.used;
    return sum;
  }

 private:
  static constexpr size_t kAlignment = 256;
  static constexpr size_t kLeast = size_t{1} << 20;
  static constexpr size_t Aligned(size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  struct Area {
    PinnedMemory host;  // empty where only the device has it
    DeviceMemory device;
    size_t used = 0;
    size_t seen = 0;  // of those used, by ForEachNew

    size_t bytes() const { return device.bytes(); }
    ArenaPlace Place(size_t at) const {
      uint8_t* const on_host = host.data();
      return {on_host == nullptr ? nullptr : on_host + at, device.data() + at};
    }
  };

  void Grow(size_t size) {
    const size_t before = areas_.empty() ? 0 : areas_.back().bytes();
    const size_t bytes = std::max({kLeast, size, 2 * before});
    Area area;
    if (sides_ == Sides::kBoth) area.host = PinnedMemory(bytes);
    area.device = DeviceMemory(bytes);
    areas_.push_back(std::move(area));
  }

  const Sides sides_;
  std::vector<Area> areas_;  // each at least twice as large as the one before
};

}  // namespace subgen::cuda
