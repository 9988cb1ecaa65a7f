// subgen_bench_decode measures tokens per second at depths of context.
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
#include "engine/cache/budget.h"
#include "engine/config/config_file.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/batch_table.h"
#include "launch/bench/decode_bench.h"
#include "launch/bench/decode_table.h"
#include "launch/bench/machine.h"
#include "launch/bench/samples.h"
#include "launch/flags/flags.h"
#include "launch/ranks/program.h"
#include "launch/ranks/progress.h"

namespace subgen {
namespace {

struct CommandLine {
  EngineConfig config;  // without what policies set
  DecodeBenchOptions options;
  RowFormatting format = RowFormatting::kMarkdown;
  bool in_turns = false;
  std::string help;  // to be printed, if any
};

// These are the arguments as they were typed.
struct Flags {
  ConfigSources sources;
  std::string model, policies;
  std::string prompts = "512", generations = "64", depths = "0";
  std::string batches;
  std::string fill = "auto", format = "md";
};

ProgramFlags AllFlags(Flags* flags, CommandLine* line) {
  ProgramFlags program = {
      "subgen_bench_decode",
      "Measures tokens per second at depths of context.",
      SettingFlags(&flags->sources, &flags->model),
      {"subgen_bench_decode --model model.gguf -d 0,4096 --policies "
       "exact,subgen"}};
  const std::vector<Flag> own = {
      {"--policies", &flags->policies,
       "Cache policies, as exact,subgen or exact/q8 (policy/row format); "
       "default: that of the settings",
       "POLICY,..."},
      {"-p,--prompt", &flags->prompts, "Tokens of the prompts; 0: none",
       "TOKENS,..."},
      {"-n,--gen", &flags->generations, "Tokens to generate; 0: none",
       "TOKENS,..."},
      {"-d,--depth", &flags->depths, "Tokens of context before each test",
       "TOKENS,..."},
      {"-b,--batch", &flags->batches,
       "Sequences at once: each reads a prompt of -p, then generates -n "
       "tokens, "
       "in the columns of llama-batched-bench",
       "SEQUENCES,..."},
      {"--fill", &flags->fill,
       "What fills the context: model, synthetic (keys and values out of "
       "nothing), or auto (synthetic beyond the context that the model was "
       "trained for)",
       "FILL"},
      {"-r,--repetitions", &line->options.repetitions,
       "Of each test, after a warm-up", "COUNT", 1, 10000},
      {"-o,--output", &flags->format, "md, csv or json", "FORMAT"},
      {"--in_turns", &line->in_turns,
       "Say 'ready' before each repetition, wait for a line on standard "
       "input, then say the seconds that it took"}};
  program.flags.insert(program.flags.end(), own.begin(), own.end());
  return program;
}

// Formats "subgen 1024 bf16": policy, budget, row format.
std::string Label(const CacheConfig& cache) {
  std::string label = cache.policy;
  if (TakesBudget(cache)) {
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

// Refuses more sequences than a step has room for, as it holds a token of each.
absl::Status CheckBatches(const std::vector<int64_t>& batches,
                          const EngineConfig& config) {
  for (const int64_t sequences : batches) {
    if (sequences <= config.prefill_chunk) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("-b ", sequences, ": a step has room for ",
                     config.prefill_chunk, " sequences (prefill_chunk)"));
  }
  return absl::OkStatus();
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
  RETURN_IF_ERROR(CheckBatches(line->options.batches, policy.config));
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
  if (!flags.batches.empty()) {
    constexpr int64_t kMostSequences = 4096;
    ASSIGN_OR_RETURN(options.batches,
                     ParseCounts("-b", flags.batches, 1, kMostSequences));
  }
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
  AddModelAndEnvironment(flags.model, &sources);
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
  ASSIGN_OR_RETURN(line.help, ParseFlags(AllFlags(&flags, &line), argc, argv));
  if (!line.help.empty()) return line;
  RETURN_IF_ERROR(ReadFlags(flags, &line));
  return line;
}

// Returns the columns of the terminal that the table goes to, and 0 if it goes
// elsewhere.
int OutputColumns() {
  winsize size = {};
  if (isatty(STDOUT_FILENO) != 1) return 0;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// Lets another program measure between our repetitions.
void WaitForTurn(const std::string& policy, const std::string& test) {
  (void)Print(absl::StrCat("ready ", policy, " ", test, "\n"));
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
    (void)Print(absl::StrFormat("seconds %.9f\n", seconds));
  };
}

std::unique_ptr<ResultTable> MakeTable(const CommandLine& line,
                                       const BenchSetting& setting) {
  if (line.options.batches.empty()) {
    return std::make_unique<DecodeTable>(setting, line.format, OutputColumns());
  }
  return std::make_unique<BatchTable>(setting, line.format, OutputColumns());
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
  const std::unique_ptr<ResultTable> table = MakeTable(line, setting);
  std::string note;
  RETURN_IF_ERROR(
      RunDecodeBench(options, *model, world, [&](const TestResult& row) {
        (void)Print(table->Add(row));
        note = row.note;
      }));
  if (world.rank() == 0) (void)Print(table->End());
  if (!note.empty()) std::fprintf(stderr, "note: %s\n", note.c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  return subgen::RunProgram<subgen::CommandLine>(subgen::Parse(argc, argv),
                                                 subgen::Measure);
}
