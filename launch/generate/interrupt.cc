#include "launch/generate/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

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

ssize_t ReadOrInterrupt(int file, void* data, size_t size) {
  // No signal may come between the question and the wait: it is let in during
  // the wait.
  sigset_t interrupt, before;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, &before);
  pollfd input = {file, POLLIN, 0};
  int ready = -1;
  errno = EINTR;
  if (!Interrupted()) ready = ppoll(&input, 1, nullptr, &before);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return ready < 0 ? -1 : read(file, data, size);
}

}  // namespace subgen
