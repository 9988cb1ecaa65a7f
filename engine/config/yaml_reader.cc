#include "engine/config/yaml_reader.h"

#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/config/read_file.h"
#include "engine/config/yaml_events.h"
#include "engine/config/yaml_quotes.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"

namespace subgen {
namespace {

constexpr int64_t kMostBytes = 1 << 20;

// Refuses bytes that the parser would take for something else: those that are
// not UTF-8 become U+FFFD there, and a control character can end the file.
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

// Reads settings. yaml-cpp refuses more than 500 levels itself (its
// DepthGuard), and the handler refuses the fourth one.
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
  // The handler's error comes first: it names the setting, where the parser
  // only knows that something is wrong behind it.
  RETURN_IF_ERROR(events.status());
  if (!broken.empty()) return absl::InvalidArgumentError(broken);
  return events.TakeSettings();
}

}  // namespace

absl::Status CheckYamlText(const std::string& text, const std::string& path) {
  if (text.size() > kMostBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": longer than ", kMostBytes, " bytes"));
  }
  RETURN_IF_ERROR(CheckBytes(text, path));
  const auto mistake = FindQuoteMistake(text);
  if (!mistake.has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      path, ":", mistake->line, ":", mistake->column, ": ", mistake->message));
}

absl::StatusOr<std::string> ReadYamlText(const std::string& kind,
                                         const std::string& path) {
  auto text = ReadWholeFile(path, kMostBytes);
  if (!text.ok()) {
    return absl::Status(text.status().code(),
                        absl::StrCat(kind, ": ", text.status().message()));
  }
  RETURN_IF_ERROR(CheckYamlText(*text, path));
  return text;
}

absl::StatusOr<std::vector<Setting>> ReadYamlFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadYamlText("settings file", path));
  return Parse(text, YamlEvents(path, ""));
}

absl::StatusOr<Setting> ReadYamlValue(const std::string& key,
                                      const std::string& place,
                                      const std::string& text) {
  if (text.size() > kMostBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        place, ": longer than a value may be, ", kMostBytes, " bytes"));
  }
  if (const auto mistake = FindQuoteMistake(text); mistake.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, ": ", key, ", at byte ", mistake->column, ": ",
                     mistake->message));
  }
  ASSIGN_OR_RETURN(std::vector<Setting> settings,
                   Parse(text, YamlEvents(place, key)));
  if (settings.empty()) return Setting{key, place, Setting::Kind::kNull, {""}};
  return std::move(settings.front());
}

}  // namespace subgen
