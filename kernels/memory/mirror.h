// Host memory of which a device keeps a copy, so that operands which stay need
// not be copied at each operation. The two copies of a byte agree, or one of
// them is the newer: an operation on the device makes its results newer there
// and leaves host memory stale; host code says what it wrote, and asks before
// it reads what a device may have written. On memory that the mirror did not
// allocate, WrittenByHost and ReadByHost do nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace subgen {

class Mirror {
 public:
  virtual ~Mirror() = default;
  // Returns memory that is zero on both sides and 64-byte aligned.
  virtual void* Allocate(int64_t bytes) = 0;
  virtual void Free(void* memory) = 0;
  virtual void WrittenByHost(const void* memory, int64_t bytes) = 0;
  // Waits for the device if it has to.
  virtual void ReadByHost(const void* memory, int64_t bytes) = 0;
  // Copies the newer copy of each byte from one place of this memory to
  // another, without waiting.
  virtual void Copy(void* to, const void* from, int64_t bytes) = 0;
};

}  // namespace subgen
