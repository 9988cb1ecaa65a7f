// subgen_generate leads from a prompt to text, on one rank or many.
#include <unistd.h>

#include "comm/mpi_session.h"
#include "engine/config/config_file.h"
#include "launch/flags/flags.h"
#include "launch/generate/generation.h"
#include "launch/ranks/program.h"

namespace subgen {
namespace {

struct CommandLine {
  EngineConfig config;
  GenerationOptions options;
  std::string help;  // to be printed, if any
};

// Text comes from standard input if the command line says nothing and it is no
// terminal. Under mpirun nobody can tell whether something will come.
absl::Status ChoosePrompt(GenerationOptions* options) {
  const int sources =
      !options->prompt.empty() + !options->prompt_file.empty() + options->chat;
  if (sources > 1) {
    return absl::InvalidArgumentError(
        "give one of --prompt, --prompt_file and --chat, not several");
  }
  if (sources == 0) {
    if (isatty(STDIN_FILENO) || LaunchedByMpi()) {
      return absl::InvalidArgumentError(
          "no prompt: give text by --prompt, --prompt_file (- is standard "
          "input, which mpirun hands to rank 0) or --chat");
    }
    options->prompt_file = "-";
  }
  if (options->logprobs > 0 && options->report.empty()) {
    return absl::InvalidArgumentError(
        "--logprobs stand in the report: give --report too");
  }
  if (options->chat && options->raw) {
    return absl::InvalidArgumentError(
        "--chat needs a chat template and --raw takes none");
  }
  return absl::OkStatus();
}

ProgramFlags Flags(ConfigSources* sources, std::string* model, int* max_tokens,
                   bool* dump_config, GenerationOptions* options) {
  ProgramFlags program = {
      "subgen_generate",
      "Generates text with attention over SubGen sketches.\n"
      "Settings: the command line wins over the environment, that over the "
      "YAML file, that over the defaults.",
      SettingFlags(sources, model),
      {"subgen_generate --model model.gguf --prompt Hello",
       "mpirun -n 4 subgen_generate --config long_context.yaml --model "
       "model.gguf --prompt_file book.txt"}};
  const std::vector<Flag> own = {
      {"--prompt", &options->prompt, "Text to answer", "TEXT"},
      {"--prompt_file", &options->prompt_file,
       "File or pipe with the prompt; - is standard input, which is also read "
       "where no prompt is given",
       "FILE"},
      {"--chat", &options->chat, "A conversation in the terminal"},
      {"--raw", &options->raw,
       "Take the prompt as it is, without the chat template"},
      {"--max_tokens", max_tokens, "Longest answer", "TOKENS", 1, 1 << 30},
      {"--output", &options->output,
       "Write the text here, by rank 0 itself (mpirun does not tell that its "
       "output could not be written); - is standard output",
       "FILE"},
      {"--report", &options->report,
       "Write a JSON report here; - is standard output", "FILE"},
      {"--logprobs", &options->logprobs,
       "Report the N best logits of each token", "N", 0, 1000},
      {"--dump_config", dump_config, "Print all settings as YAML and end"}};
  program.flags.insert(program.flags.end(), own.begin(), own.end());
  return program;
}

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  ConfigSources sources;
  std::string model;
  int max_tokens = 0;
  bool dump_config = false;
  ASSIGN_OR_RETURN(line.help, ParseFlags(Flags(&sources, &model, &max_tokens,
                                               &dump_config, &line.options),
                                         argc, argv));
  if (!line.help.empty()) return line;
  AddModelAndEnvironment(model, &sources);
  if (max_tokens > 0) {
    sources.settings.push_back("max_tokens=" + std::to_string(max_tokens));
  }
  ASSIGN_OR_RETURN(line.config, LoadConfig(sources));
  line.options.config = line.config;
  if (dump_config) {
    line.help = DumpConfig(line.config);
    return line;
  }
  RETURN_IF_ERROR(ChoosePrompt(&line.options));
  return line;
}

absl::Status Run(const CommandLine& line, RankContext rank) {
  return Generate(line.options, std::move(rank));
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  return subgen::RunProgram<subgen::CommandLine>(subgen::Parse(argc, argv),
                                                 subgen::Run);
}
