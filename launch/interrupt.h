// Ctrl-C as a question that a loop asks, not as the end of the process.
#pragma once

namespace subgen {

// From now on SIGINT is remembered and interrupts what waits for input. A
// second one, before the first was taken, ends the process with code 130.
void CatchInterrupts();

// Whether one came since the last call of TakeInterrupt.
bool Interrupted();
// The same, and forgets it.
bool TakeInterrupt();

}  // namespace subgen
