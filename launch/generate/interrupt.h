// Ctrl-C as a question that a loop asks, not as the end of the process.
#pragma once

#include <sys/types.h>

namespace subgen {

// From now on SIGINT is remembered and interrupts what waits for input. A
// second one, before the first was taken, ends the process with code 130.
void CatchInterrupts();

// Whether one came since the last call of TakeInterrupt.
bool Interrupted();
// The same, and forgets it.
bool TakeInterrupt();

// read(2) that an interrupt ends, also one that came just before: -1 and EINTR.
ssize_t ReadOrInterrupt(int file, void* data, size_t size);

}  // namespace subgen
