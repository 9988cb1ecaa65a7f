// Asynchronous copies to shared memory are done when they are waited for, and
// what lies there before is NaN.
#pragma once

#include <cuda_runtime.h>

namespace subgen::emulation {

// The last `zeros` bytes are zeros instead.
void CopyLater(void* to, const void* from, size_t bytes, size_t zeros);
void CommitCopies();
void WaitForCopies(size_t but_last);

}  // namespace subgen::emulation

inline void __pipeline_memcpy_async(void* to, const void* from, size_t bytes) {
  subgen::emulation::CopyLater(to, from, bytes, 0);
}
inline void __pipeline_commit() { subgen::emulation::CommitCopies(); }
inline void __pipeline_wait_prior(size_t but_last) {
  subgen::emulation::WaitForCopies(but_last);
}
