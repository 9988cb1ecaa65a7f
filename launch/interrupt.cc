#include "launch/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace subgen {
namespace {

volatile sig_atomic_t interrupted = 0;

void Remember(int) {
  constexpr int kInterruptedCode = 130;  // as of a process that SIGINT ends
  if (interrupted != 0) _exit(kInterruptedCode);
  interrupted = 1;
}

}  // namespace

void CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = Remember;  // no SA_RESTART: a read returns
  sigaction(SIGINT, &action, nullptr);
}

bool Interrupted() { return interrupted != 0; }

bool TakeInterrupt() {
  const bool was = interrupted != 0;
  interrupted = 0;
  return was;
}

}  // namespace subgen
