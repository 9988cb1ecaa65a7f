#include "engine/config/read_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr int64_t kChunk = int64_t{1} << 16;

absl::Status CannotRead(const std::string& path, const std::string& reason) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot read ", Quoted(path), ": ", reason));
}

absl::Status CannotRead(const std::string& path, int error) {
  const absl::Status status = CannotRead(path, std::strerror(error));
  if (error != ENOENT) return status;
  return absl::NotFoundError(status.message());
}

// Standard input is opened already, and its name cannot be opened where it is
// a socket or another user's terminal.
int Open(const std::string& path) {
  if (path == "/dev/stdin") return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
  int descriptor = -1;
  do {
    descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

// Reads as read(2) does, but waits where others have made the descriptor one
// that does not block.
int64_t ReadSome(int descriptor, char* bytes, int64_t most) {
  for (;;) {
    const int64_t count = read(descriptor, bytes, static_cast<size_t>(most));
    if (count >= 0) return count;
    if (errno == EAGAIN) {
      pollfd ready = {descriptor, POLLIN, 0};
      poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return -1;
    }
  }
}

// Reads at most so many bytes. The size of a pipe or a device is not known
// beforehand, so memory grows with what comes.
absl::StatusOr<std::string> ReadFrom(int descriptor, const std::string& path,
                                     int64_t most_bytes) {
  struct stat about = {};
  if (fstat(descriptor, &about) != 0) return CannotRead(path, errno);
  if (S_ISDIR(about.st_mode)) return CannotRead(path, "it is a folder");
  std::string text;
  int64_t length = 0;
  while (length < most_bytes) {
    // Memory is taken for what comes next, not for the most that may come.
    const int64_t wanted = std::min(kChunk, most_bytes - length);
    text.resize(static_cast<size_t>(length + wanted));
    const int64_t count = ReadSome(descriptor, text.data() + length, wanted);
    if (count < 0) return CannotRead(path, errno);
    if (count == 0) break;
    length += count;
  }
  text.resize(static_cast<size_t>(length));
  return text;
}

}  // namespace

absl::StatusOr<std::string> ReadBeginning(const std::string& path,
                                          int64_t most_bytes) {
  const int descriptor = Open(path);
  if (descriptor < 0) return CannotRead(path, errno);
  absl::StatusOr<std::string> text = ReadFrom(descriptor, path, most_bytes);
  close(descriptor);
  return text;
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                          int64_t most_bytes) {
  // One byte more tells a file that is too long from one that just fits.
  ASSIGN_OR_RETURN(std::string text, ReadBeginning(path, most_bytes + 1));
  if (static_cast<int64_t>(text.size()) <= most_bytes) return text;
  return CannotRead(path, absl::StrCat("it has more than ", most_bytes,
                                       " bytes, which is the limit"));
}

}  // namespace subgen
