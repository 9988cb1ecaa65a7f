#include "launch/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "absl/strings/str_cat.h"

namespace subgen {
namespace {

struct Output {
  int file = STDOUT_FILENO;
  std::string name = "standard output";
  absl::Status status;
};

Output& Current() {
  static Output& output = *new Output;
  return output;
}

}  // namespace

void PrepareStandardStreams() {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(file, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one. The wrong way round on purpose.
    const int mode = file == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (open("/dev/null", mode) != file) return;
  }
}

absl::Status SetOutput(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  const int file =
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  Current() = {file, path, absl::OkStatus()};
  return absl::OkStatus();
}

absl::Status WriteAll(int file, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return absl::ErrnoToStatus(errno, "");
    text.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status Print(absl::string_view text) {
  Output& output = Current();
  if (!output.status.ok()) return output.status;
  const absl::Status written = WriteAll(output.file, text);
  if (!written.ok()) {
    output.status = absl::Status(
        written.code(),
        absl::StrCat("cannot write ", output.name, written.message()));
  }
  return output.status;
}

absl::Status OutputStatus() { return Current().status; }

}  // namespace subgen
