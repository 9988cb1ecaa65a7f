// subgen_generate: from a prompt to text, on one rank or many.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "comm/agreement.h"
#include "engine/config/config_file.h"
#include "kernels/base/status_macros.h"
#include "launch/generation.h"

extern char** environ;

namespace subgen {
namespace {

struct CommandLine {
  GenerationOptions options;
  bool dump_config = false;
  bool help = false;
  std::string help_text;
};

absl::Status CheckOptions(const CommandLine& line) {
  const GenerationOptions& options = line.options;
  const int sources =
      !options.prompt.empty() + !options.prompt_file.empty() + options.chat;
  if (sources > 1) {
    return absl::InvalidArgumentError(
        "give one of --prompt, --prompt_file and --chat, not several");
  }
  if (sources == 0 && !line.dump_config) {
    return absl::InvalidArgumentError(
        "no prompt: give text by --prompt, --prompt_file or --chat");
  }
  if (options.chat && options.raw) {
    return absl::InvalidArgumentError(
        "--chat needs a chat template and --raw takes none");
  }
  return absl::OkStatus();
}

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  ConfigSources sources;
  std::string model;
  int max_tokens = 0;
  CLI::App app(
      "Generates text with attention over SubGen sketches.\n"
      "Settings: command line over environment over YAML over default.");
  app.add_option("--config", sources.yaml_path, "YAML file with settings");
  app.add_option("--set", sources.settings, "A setting, key=value (repeatable)")
      ->take_all();
  app.add_option("--model", model, "GGUF file; short for --set model=...");
  app.add_option("--prompt", line.options.prompt, "Text to answer");
  app.add_option("--prompt_file", line.options.prompt_file,
                 "File with the prompt; - is standard input");
  app.add_flag("--chat", line.options.chat, "A conversation in the terminal");
  app.add_flag("--raw", line.options.raw,
               "Take the prompt as it is, without the chat template");
  app.add_option("--max_tokens", max_tokens, "Longest answer")
      ->check(CLI::Range(1, 1 << 30));
  app.add_option("--report", line.options.report, "Write a JSON report here");
  app.add_option("--logprobs", line.options.logprobs,
                 "Report the N best logits of each token")
      ->check(CLI::Range(0, 1000));
  app.add_flag("--dump_config", line.dump_config,
               "Print all settings as YAML and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.help = true;
    line.help_text = app.help();
    return line;
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  sources.environment = environ;
  if (!model.empty()) sources.settings.push_back("model=" + YamlQuoted(model));
  if (max_tokens > 0) {
    sources.settings.push_back("max_tokens=" + std::to_string(max_tokens));
  }
  ASSIGN_OR_RETURN(line.options.config, LoadConfig(sources));
  RETURN_IF_ERROR(CheckOptions(line));
  return line;
}

absl::Status RunRank(const absl::StatusOr<CommandLine>& line,
                     RankContext rank) {
  RETURN_IF_ERROR(AgreeOnStatus(*rank.world, line.status()));
  const bool leads = rank.world->rank() == 0;
  if (line->help || line->dump_config) {
    const std::string text =
        line->help ? line->help_text : DumpConfig(line->options.config);
    if (leads) std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  return Generate(line->options, std::move(rank));
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  const auto line = subgen::Parse(argc, argv);
  const subgen::EngineConfig config =
      line.ok() ? line->options.config : subgen::EngineConfig();
  return subgen::RunRanks(config, [&](subgen::RankContext rank) {
    return subgen::RunRank(line, std::move(rank));
  });
}
