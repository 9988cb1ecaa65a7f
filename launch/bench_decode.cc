// subgen_bench_decode: tokens per second at depths of context.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "comm/agreement.h"
#include "engine/config/config_file.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/decode_bench.h"
#include "launch/bench/decode_table.h"
#include "launch/bench/machine.h"
#include "launch/bench/samples.h"
#include "launch/program.h"
#include "launch/progress.h"

extern char** environ;

namespace subgen {
namespace {

struct CommandLine {
  EngineConfig config;  // without what policies set
  DecodeBenchOptions options;
  RowFormatting format = RowFormatting::kMarkdown;
  bool in_turns = false;
  std::string help;  // to be printed, if any
};

// The arguments as they were typed.
struct Flags {
  ConfigSources sources;
  std::string model, policies;
  std::string prompts = "512", generations = "64", depths = "0";
  std::string fill = "auto", format = "md";
};

void AddFlags(CLI::App* app, Flags* flags, CommandLine* line) {
  app->add_option("--config", flags->sources.yaml_path,
                  "YAML file with settings");
  app->add_option("--set", flags->sources.settings,
                  "A setting, key=value (repeatable)")
      ->take_all();
  app->add_option("--model", flags->model,
                  "GGUF file; short for --set model=...");
  app->add_option("--policies", flags->policies,
                  "Cache policies, as exact,subgen or exact/q8 (policy/row "
                  "format); default: that of the settings");
  app->add_option("-p,--prompt", flags->prompts,
                  "Tokens of the prompts; 0: none");
  app->add_option("-n,--gen", flags->generations,
                  "Tokens to generate; 0: none");
  app->add_option("-d,--depth", flags->depths,
                  "Tokens of context before each test");
  app->add_option("--fill", flags->fill,
                  "What fills the context: model, synthetic (keys and values "
                  "out of nothing), or auto (synthetic beyond the context that "
                  "the model was trained for)");
  app->add_option("-r,--repetitions", line->options.repetitions)
      ->check(CLI::Range(1, 10000));
  app->add_option("-o,--output", flags->format, "md, csv or json");
  app->add_flag("--in_turns", line->in_turns,
                "Say 'ready' before each repetition, wait for a line on "
                "standard input, then say the seconds that it took");
}

// "subgen 1024 bf16": policy, budget, row format.
std::string Label(const CacheConfig& cache) {
  std::string label = cache.policy;
  if (cache.policy != "exact" && cache.policy != "kivi") {
    if (cache.budget_tokens > 0)
      absl::StrAppend(&label, " ", cache.budget_tokens);
    if (cache.budget_bytes > 0)
      absl::StrAppend(&label, " ", cache.budget_bytes, " B");
    if (cache.budget_fraction > 0) {
      absl::StrAppend(&label, " ", 100 * cache.budget_fraction, " %");
    }
  }
  return absl::StrCat(label, " ", cache.row_format);
}

absl::Status AddPolicy(const std::string& name, ConfigSources sources,
                       CommandLine* line) {
  const std::vector<std::string> parts =
      absl::StrSplit(name, absl::MaxSplits('/', 1));
  if (!name.empty()) sources.settings.push_back("cache.policy=" + parts[0]);
  if (parts.size() > 1) {
    sources.settings.push_back("cache.row_format=" + parts[1]);
  }
  BenchPolicy policy;
  ASSIGN_OR_RETURN(policy.config, LoadConfig(sources));
  policy.config.max_sequences = 1;
  policy.label = Label(policy.config.cache);
  line->options.policies.push_back(std::move(policy));
  return absl::OkStatus();
}

absl::Status ReadFlags(const Flags& flags, CommandLine* line) {
  constexpr int64_t kMostTokens = int64_t{1} << 30;
  DecodeBenchOptions& options = line->options;
  ASSIGN_OR_RETURN(options.prompts,
                   ParseCounts("-p", flags.prompts, 0, kMostTokens));
  ASSIGN_OR_RETURN(options.generations,
                   ParseCounts("-n", flags.generations, 0, kMostTokens));
  ASSIGN_OR_RETURN(options.depths,
                   ParseCounts("-d", flags.depths, 0, kMostTokens));
  const auto none = [](int64_t tokens) { return tokens == 0; };
  if (std::all_of(options.prompts.begin(), options.prompts.end(), none) &&
      std::all_of(options.generations.begin(), options.generations.end(),
                  none)) {
    return absl::InvalidArgumentError(
        "-p and -n: there is nothing to measure where both are 0");
  }
  ASSIGN_OR_RETURN(options.fill, ParseContextFill(flags.fill));
  ASSIGN_OR_RETURN(line->format, ParseRowFormatting(flags.format));
  ConfigSources sources = flags.sources;
  sources.environment = environ;
  if (!flags.model.empty()) {
    sources.settings.push_back("model=" + YamlQuoted(flags.model));
  }
  ASSIGN_OR_RETURN(line->config, LoadConfig(sources));
  std::vector<std::string> policies = {""};
  if (!flags.policies.empty()) {
    ASSIGN_OR_RETURN(policies, ParseNames("--policies", flags.policies));
  }
  for (const std::string& policy : policies) {
    RETURN_IF_ERROR(AddPolicy(policy, sources, line));
  }
  return absl::OkStatus();
}

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  Flags flags;
  CLI::App app("Measures tokens per second at depths of context.");
  AddFlags(&app, &flags, &line);
  RETURN_IF_ERROR(ParseFlags(app, argc, argv, &line.help));
  if (!line.help.empty()) return line;
  RETURN_IF_ERROR(ReadFlags(flags, &line));
  return line;
}

// Of the terminal that the table goes to; 0: it goes elsewhere.
int OutputColumns() {
  winsize size = {};
  if (isatty(STDOUT_FILENO) != 1) return 0;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// Lets another program measure between our repetitions.
void WaitForTurn(const std::string& policy, const std::string& test) {
  Print(absl::StrCat("ready ", policy, " ", test, "\n"));
  std::string line;
  std::getline(std::cin, line);
}

void AddHooks(bool in_turns, DecodeBenchOptions* options) {
  options->on_fill =
      [bar = std::make_shared<ProgressBar>("filling the context", "layers")](
          int64_t done, int64_t total) { bar->Show(done, total); };
  options->before_repetition = [](const std::string&, const std::string&) {};
  options->after_repetition = [](double) {};
  if (!in_turns) return;
  options->before_repetition = WaitForTurn;
  options->after_repetition = [](double seconds) {
    Print(absl::StrFormat("seconds %.9f\n", seconds));
  };
}

absl::Status Measure(const CommandLine& line, RankContext rank) {
  Communicator& world = *rank.world;
  auto model = LoadModel(line.config);
  RETURN_IF_ERROR(AgreeOnStatus(world, model.status()));
  DecodeBenchOptions options = line.options;
  options.threads = ThreadsOfRank(line.config.threads, rank.ranks_on_host);
  options.device = rank.device;
  AddHooks(line.in_turns, &options);
  BenchSetting setting;
  DescribeModel(*model, &setting);
  setting.backend = line.config.backend;
  setting.ranks = world.size();
  setting.threads = options.threads;
  setting.read_bandwidth =
      ReadBandwidth(world, options.threads, BandwidthBytes(rank.ranks_on_host));
  DecodeTable table(setting, line.format, OutputColumns());
  std::string note;
  RETURN_IF_ERROR(
      RunDecodeBench(options, *model, world, [&](const TestResult& row) {
        Print(table.Add(row));
        note = row.note;
      }));
  if (world.rank() == 0) Print(table.End());
  if (!note.empty()) std::fprintf(stderr, "note: %s\n", note.c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  return subgen::RunProgram<subgen::CommandLine>(subgen::Parse(argc, argv),
                                                 subgen::Measure);
}
