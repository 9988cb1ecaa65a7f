// Ctrl-C is a question that a loop asks, not the end of the process.
#pragma once

#include <sys/types.h>

namespace subgen {

// From now on SIGINT is remembered, and interrupts what waits for input. A
// second one, before the first was taken, ends the process with code 130.
void CatchInterrupts();

// Returns whether one came since the last call of TakeInterrupt.
bool Interrupted();
// Returns the same, and forgets it.
bool TakeInterrupt();

// Reads as read(2) does. An interrupt ends it, also one that came just before,
// with -1 and EINTR.
ssize_t ReadOrInterrupt(int file, void* data, size_t size);

}  // namespace subgen
