#include "launch/ranks/report_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"
#include "launch/ranks/output.h"

namespace subgen {
namespace {

// Returns where links lead to, also if the end of them is not there yet.
std::string BehindLinks(std::string path) {
  constexpr int kMostLinks = 40;  // as the kernel's
  std::error_code error;
  for (int i = 0; i < kMostLinks; ++i) {
    const auto link = std::filesystem::read_symlink(path, error);
    if (error) break;
    path = (std::filesystem::path(path).parent_path() / link).string();
  }
  return path;
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// Returns the mode that open gives a new file.
mode_t NewFileMode() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

absl::Status ReportFile::Error(int error) const {
  return absl::ErrnoToStatus(error,
                             absl::StrCat("cannot write the report ", path_));
}

absl::StatusOr<ReportFile> ReportFile::Open(const std::string& path) {
  ReportFile file;
  file.path_ = path;
  if (path.empty()) return file;
  file.descriptor_ = DescriptorOf(path);
  if (file.descriptor_ >= 0) return file;
  struct stat is = {};
  // If it is no file, there is no name behind links: it is a pipe of the
  // shell's, or a device.
  const bool special = stat(path.c_str(), &is) == 0 && !S_ISREG(is.st_mode);
  file.target_ = special ? path : BehindLinks(path);
  file.exists_ = stat(file.target_.c_str(), &is) == 0;
  if (!file.exists_ && errno != ENOENT) return file.Error(errno);
  if (file.exists_ && S_ISDIR(is.st_mode)) return file.Error(EISDIR);
  if (file.exists_ && access(file.target_.c_str(), W_OK) != 0) {
    return file.Error(errno);
  }
  const bool folder_writable =
      access(FolderOf(file.target_).c_str(), W_OK) == 0;
  if (!file.exists_ && !folder_writable) return file.Error(errno);
  file.replaces_ = folder_writable &&
                   (!file.exists_ || (S_ISREG(is.st_mode) && is.st_nlink == 1));
  file.mode_ = file.exists_ ? is.st_mode & 07777 : NewFileMode();
  return file;
}

absl::Status ReportFile::Write(const std::string& contents) const {
  if (path_.empty()) return absl::OkStatus();
  if (descriptor_ >= 0) {
    return WriteAll(descriptor_, contents).ok() ? absl::OkStatus()
                                                : Error(errno);
  }
  return replaces_ ? Replace(contents) : WriteThrough(contents);
}

absl::Status ReportFile::Replace(const std::string& contents) const {
  std::string name = absl::StrCat(FolderOf(target_), "/.subgen-report-XXXXXX");
  const int file = mkstemp(name.data());
  if (file < 0) return Error(errno);
  struct stat old = {};
  // Another user's file stays that user's if we may give it away.
  if (exists_ && stat(target_.c_str(), &old) == 0 &&
      fchown(file, old.st_uid, old.st_gid) != 0) {
    errno = 0;
  }
  int error = 0;
  if (!WriteAll(file, contents).ok() || fchmod(file, mode_) != 0) error = errno;
  if (close(file) != 0 && error == 0) error = errno;
  if (error == 0 && rename(name.c_str(), target_.c_str()) != 0) error = errno;
  if (error == 0) return absl::OkStatus();
  unlink(name.c_str());
  return Error(error);
}

absl::Status ReportFile::WriteThrough(const std::string& contents) const {
  const int file = open(target_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (file < 0) return Error(errno);
  int error = WriteAll(file, contents).ok() ? 0 : errno;
  if (close(file) != 0 && error == 0) error = errno;
  return error == 0 ? absl::OkStatus() : Error(error);
}

}  // namespace subgen
