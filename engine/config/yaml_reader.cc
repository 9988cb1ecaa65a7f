#include "engine/config/yaml_reader.h"

#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/config/yaml_events.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"

namespace subgen {
namespace {

constexpr size_t kMostBytes = 1 << 20;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || !file.eof()) {  // a whole read stops before the end
    if (file.gcount() == static_cast<std::streamsize>(text.size())) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": larger than a settings file may be, ",
                       kMostBytes, " bytes"));
    }
    return absl::NotFoundError(
        absl::StrCat("cannot read the settings file ", Quoted(path), ": ",
                     errno != 0 ? std::strerror(errno) : "not a file"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

// Bytes that the parser would take for something else: those that are not
// UTF-8 become U+FFFD there, and a control character can end the file.
absl::Status CheckBytes(const std::string& text, const std::string& path) {
  const size_t valid = ValidUtf8Prefix(text);
  int line = 1;
  int column = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool blank = byte == '\n' || byte == '\r' || byte == '\t';
    if (i == valid || (byte < 0x20 && !blank) || byte == 0x7f) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line, ":", column, ": the byte 0x",
                       absl::Hex(byte, absl::kZeroPad2), " is ",
                       i == valid ? "not UTF-8" : "a control character",
                       ", which YAML does not allow"));
    }
    column = byte == '\n' ? 1 : column + 1;
    line += byte == '\n';
  }
  return absl::OkStatus();
}

// yaml-cpp refuses more than 500 levels itself (its DepthGuard), and the
// handler refuses the fourth one.
absl::StatusOr<std::vector<Setting>> Parse(const std::string& text,
                                           YamlEvents events) {
  std::string broken;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (events.status().ok() && parser.HandleNextDocument(events)) {
    }
  } catch (const YAML::Exception& error) {
    broken = absl::StrCat(events.Place(error.mark), ": not YAML: ", error.msg);
  } catch (const std::exception& error) {
    broken = absl::StrCat(events.Place(YAML::Mark::null_mark()),
                          ": cannot be read as YAML: ", error.what());
  }
  RETURN_IF_ERROR(events.status());
  if (!broken.empty()) return absl::InvalidArgumentError(broken);
  return events.TakeSettings();
}

}  // namespace

absl::StatusOr<std::vector<Setting>> ReadYamlFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  RETURN_IF_ERROR(CheckBytes(text, path));
  return Parse(text, YamlEvents(path, ""));
}

absl::StatusOr<Setting> ReadYamlValue(const std::string& key,
                                      const std::string& place,
                                      const std::string& text) {
  if (text.size() > kMostBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        place, ": longer than a value may be, ", kMostBytes, " bytes"));
  }
  ASSIGN_OR_RETURN(std::vector<Setting> settings,
                   Parse(text, YamlEvents(place, key)));
  if (settings.empty()) return Setting{key, place, Setting::Kind::kNull, {""}};
  return std::move(settings.front());
}

}  // namespace subgen
