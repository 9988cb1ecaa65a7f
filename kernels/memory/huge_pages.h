// Memory that is read again and again from end to end lies on pages of 2 MiB
// where the system has them. With pages of 4 KiB, a processor's tables hold
// addresses of a few MB only, and looking up further ones takes longer than
// reading them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace subgen {

// What Take returns is 64-byte aligned and lives as long as this object. Pages
// are taken from the system when they are first written. Running out of memory
// is Fatal.
class HugePages {
 public:
  HugePages() = default;
  HugePages(const HugePages&) = delete;
  ~HugePages();

  std::byte* Take(int64_t bytes);

 private:
  struct Region {
    std::byte* data = nullptr;
    int64_t bytes = 0;
    int64_t used = 0;
  };
  static Region Map(int64_t bytes);

  std::vector<Region> regions_;
};

}  // namespace subgen
