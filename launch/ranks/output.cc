#include "launch/ranks/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace subgen {
namespace {

struct Output {
  int file = STDOUT_FILENO;
  std::string name = "standard output";
  bool emptied = true;  // what a file held before is gone
  absl::Status status = absl::OkStatus();
};

Output& Current() {
  static Output& output = *new Output;
  return output;
}

}  // namespace

void PrepareStandardStreams() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond ulimit -f
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(file, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one. It is opened the wrong way round on
    // purpose.
    const int mode = file == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (open("/dev/null", mode) != file) return;
  }
}

absl::Status SetOutput(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  const int descriptor = DescriptorOf(path);
  if (descriptor >= 0) {
    Current().file = descriptor;
    return absl::OkStatus();
  }
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  Current() = {file, path, false};
  return absl::OkStatus();
}

int DescriptorOf(const std::string& path) {
  if (path == "-" || path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  absl::string_view rest = path;
  int descriptor = -1;
  if (!absl::ConsumePrefix(&rest, "/dev/fd/") &&
      !absl::ConsumePrefix(&rest, "/proc/self/fd/")) {
    return -1;
  }
  return absl::SimpleAtoi(rest, &descriptor) ? descriptor : -1;
}

absl::Status CheckIsNot(absl::string_view flag, const std::string& output,
                        const std::string& input) {
  std::error_code error;  // one that is not there is not the same
  if (output.empty() || input.empty() ||
      !std::filesystem::is_regular_file(output, error) ||
      !std::filesystem::equivalent(output, input, error)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      flag, " ", output, ": that is the file ", input, ", which is read"));
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
  if (!output.emptied) {
    output.emptied = true;
    // Pipes and devices have nothing to lose, and say so.
    if (ftruncate(output.file, 0) != 0) errno = 0;
  }
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
