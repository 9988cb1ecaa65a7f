// This is the only source that includes CLI11, which takes long to compile.
#include "launch/flags/flags.h"

#include <CLI/CLI.hpp>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/config/config_file.h"
#include "kernels/base/quoted.h"
#include "launch/flags/manual.h"
#include "launch/flags/version.h"

extern char** environ;

namespace subgen {
namespace {

void CheckRange(const Flag& flag, CLI::Option* option) {
  if (flag.low == flag.high) return;
  option->check(CLI::Validator(
      [low = flag.low, high = flag.high](const std::string& text) {
        double value = 0.0;
        const bool number = CLI::detail::lexical_cast(text, value);
        if (number && value >= low && value <= high) return std::string();
        return absl::StrFormat("must be from %.10g to %.10g, not %s", low, high,
                               text);
      },
      ""));
}

void Add(const Flag& flag, CLI::App* app) {
  CLI::Option* option = std::visit(
      [&](auto* target) -> CLI::Option* {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, bool>) {
          return app->add_flag(flag.names, *target, flag.help);
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          return app->add_option(flag.names, *target, flag.help)->take_all();
        } else {
          return app->add_option(flag.names, *target, flag.help);
        }
      },
      flag.target);
  CheckRange(flag, option);
  if (!flag.value.empty()) option->option_text(flag.value);
  if (flag.required) option->required();
}

// Returns the words that a user meant to be flags and that are none.
std::string UnknownFlags(const CLI::App& app, const ProgramFlags& program) {
  std::string text;
  for (const std::string& word : app.remaining()) {
    const std::string name = word.substr(0, word.find('='));
    if (!absl::StartsWith(name, "-")) continue;
    absl::StrAppend(&text, text.empty() ? "" : "; ", Quoted(name),
                    " is no flag of ", program.name, "; did you mean ",
                    NearestFlag(program, name), "?");
  }
  if (!text.empty()) return text;
  for (const std::string& word : app.remaining()) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", Quoted(word));
  }
  return absl::StrCat(text, " stands alone: values follow a flag (--help)");
}

}  // namespace

absl::StatusOr<std::string> ParseFlags(const ProgramFlags& program, int argc,
                                       const char* const* argv) {
  CLI::App app(program.purpose, program.name);
  app.allow_extras();
  bool version = false, man = false, completion = false;
  for (const Flag& flag : program.flags) Add(flag, &app);
  app.add_flag("--version", version,
               "Print version, commit, backends and instruction sets");
  app.add_flag("--man", man, "Print the man page")->group("");
  app.add_flag("--completion", completion, "Print a completion of bash")
      ->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return app.help();
  } catch (const CLI::ParseError& error) {
    if (version) return VersionText(program.name);
    if (man) return ManPage(program);
    if (completion) return BashCompletion(program);
    return absl::InvalidArgumentError(absl::StrReplaceAll(
        error.what(), {{"At Most 1 required but received", "given"},
                       {"1 required but received", "one value, given"}}));
  }
  if (version) return VersionText(program.name);
  if (man) return ManPage(program);
  if (completion) return BashCompletion(program);
  if (app.remaining_size() > 0) {
    return absl::InvalidArgumentError(UnknownFlags(app, program));
  }
  return std::string();
}

std::vector<Flag> SettingFlags(ConfigSources* sources, std::string* model) {
  return {
      {"--model", model, "GGUF file; short for --set model=...", "FILE"},
      {"--config", &sources->yaml_path, "YAML file with settings", "FILE"},
      {"--set", &sources->settings,
       "A setting (may be given several times); --dump_config of "
       "subgen_generate lists them",
       "KEY=VALUE"},
  };
}

void AddModelAndEnvironment(const std::string& model, ConfigSources* sources) {
  sources->environment = environ;
  if (!model.empty()) sources->settings.push_back("model=" + YamlQuoted(model));
}

}  // namespace subgen
