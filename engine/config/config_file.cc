#include "engine/config/config_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/config/config_checks.h"
#include "engine/config/fields.h"
#include "engine/config/yaml_reader.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"

namespace subgen {
namespace {

constexpr absl::string_view kPrefix = "SUBGEN_";

// This is the config while it is filled.
class Loader {
 public:
  absl::Status AddYaml(const std::string& path);
  absl::Status AddEnvironment(const char* const* environment);
  absl::Status AddSettings(const std::vector<std::string>& settings);
  absl::StatusOr<EngineConfig> Finish();

 private:
  absl::Status Apply(const Setting& setting);
  // Takes a value as it stands outside a file.
  absl::Status ApplyText(const Field& field, const std::string& place,
                         const std::string& text);
  absl::Status ExpandHome();

  EngineConfig config_;
  SettingPlaces places_;
  std::string home_;
};

absl::Status Loader::Apply(const Setting& setting) {
  RETURN_IF_ERROR(SetField(*FindField(setting.key), setting, config_));
  places_[setting.key] = setting.place;
  return absl::OkStatus();
}

absl::Status Loader::ApplyText(const Field& field, const std::string& place,
                               const std::string& text) {
  const size_t invalid = ValidUtf8Prefix(text);
  if (invalid < text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, ": ", field.key, " is not UTF-8 at byte ", invalid,
                     " of ", Quoted(text)));
  }
  const std::string key(field.key);
  const bool quoted = !text.empty() && (text[0] == '"' || text[0] == '\'');
  // Only a list or a quoted string needs a parser; any other text is the value,
  // so that a path with a colon needs no quotes.
  if (HoldsList(field) || quoted) {
    ASSIGN_OR_RETURN(const Setting setting, ReadYamlValue(key, place, text));
    return Apply(setting);
  }
  return Apply({key, place, Setting::Kind::kPlain, {text}});
}

absl::Status Loader::AddYaml(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<Setting> settings, ReadYamlFile(path));
  for (const Setting& setting : settings) RETURN_IF_ERROR(Apply(setting));
  return absl::OkStatus();
}

absl::Status Loader::AddEnvironment(const char* const* environment) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::pair<std::string, std::string> variable =
        absl::StrSplit(*environment, absl::MaxSplits('=', 1));
    const auto& [name, value] = variable;
    if (name == "HOME") home_ = value;
    // A variable with the prefix that no setting has is refused: it is most
    // likely misspelled, and would change nothing.
    if (!absl::StartsWith(name, kPrefix)) continue;
    const auto fields = Fields();
    const auto field = std::find_if(
        fields.begin(), fields.end(),
        [&](const Field& f) { return EnvironmentName(f.key) == name; });
    if (field == fields.end()) {
      std::string key = absl::AsciiStrToLower(name.substr(kPrefix.size()));
      return absl::InvalidArgumentError(absl::StrCat(
          "environment: unknown variable ", Quoted(name), "; did you mean ",
          EnvironmentName(NearestKey(key)), "?"));
    }
    RETURN_IF_ERROR(
        ApplyText(*field, absl::StrCat("environment: ", name), value));
  }
  return absl::OkStatus();
}

absl::Status Loader::AddSettings(const std::vector<std::string>& settings) {
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--set ", Quoted(setting), " must be key=value, as threads=4"));
    }
    const std::string key = setting.substr(0, equals);
    const Field* field = FindField(key);
    if (field == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("--set: unknown key ", Quoted(key), "; did you mean ",
                       NearestKey(key), "?"));
    }
    RETURN_IF_ERROR(ApplyText(*field, "--set", setting.substr(equals + 1)));
  }
  return absl::OkStatus();
}

absl::Status Loader::ExpandHome() {
  absl::string_view rest = config_.model;
  if (!absl::ConsumePrefix(&rest, "~/")) return absl::OkStatus();
  if (home_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(places_["model"], ": model ", Quoted(config_.model),
                     " begins with ~ but HOME is not set; give a full path"));
  }
  config_.model = absl::StrCat(home_, "/", rest);
  return absl::OkStatus();
}

absl::StatusOr<EngineConfig> Loader::Finish() {
  // Rules between settings are checked last, when all sources have been read: a
  // later one may mend what an earlier one says.
  RETURN_IF_ERROR(ExpandHome());
  RETURN_IF_ERROR(CheckConfig(config_, places_));
  return config_;
}

}  // namespace

absl::StatusOr<EngineConfig> LoadConfig(const ConfigSources& sources) {
  Loader loader;
  if (!sources.yaml_path.empty()) {
    RETURN_IF_ERROR(loader.AddYaml(sources.yaml_path));
  }
  RETURN_IF_ERROR(loader.AddEnvironment(sources.environment));
  RETURN_IF_ERROR(loader.AddSettings(sources.settings));
  return loader.Finish();
}

// Returns "; one of a, b" or "; an integer from 0 to 9", and nothing of any
// text.
static std::string LegalValues(const Field& field) {
  std::string legal = DescribeLegal(field);
  absl::string_view rest = legal;
  absl::ConsumePrefix(&rest, "must be ");
  return rest == "a string" ? "" : absl::StrCat("; ", rest);
}

std::string DumpConfig(const EngineConfig& config) {
  std::string yaml;
  std::vector<std::string> open;  // sections of the last line
  for (const Field& field : Fields()) {
    std::vector<std::string> parts = absl::StrSplit(field.key, '.');
    const std::string name = std::move(parts.back());
    parts.pop_back();
    size_t shared = 0;
    while (shared < std::min(open.size(), parts.size()) &&
           open[shared] == parts[shared]) {
      ++shared;
    }
    for (size_t i = shared; i < parts.size(); ++i) {
      absl::StrAppend(&yaml, std::string(2 * i, ' '), parts[i], ":\n");
    }
    absl::StrAppend(&yaml, std::string(2 * parts.size(), ' '), name, ": ",
                    FormatField(field, config), "  # ", field.help,
                    LegalValues(field), "\n");
    open = std::move(parts);
  }
  return yaml;
}

}  // namespace subgen
