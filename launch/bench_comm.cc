// subgen_bench_comm: collectives and merges at the engine's message sizes.
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "comm/mpi_session.h"
#include "engine/config/config_file.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/comm_bench.h"
#include "launch/bench/comm_table.h"
#include "launch/bench/samples.h"
#include "launch/program.h"

extern char** environ;

namespace subgen {
namespace {

struct CommandLine {
  EngineConfig config;
  CommBenchOptions options;
  std::vector<int64_t> sizes;  // bytes; empty: the model's
  CommFormat format = CommFormat::kText;
  std::string help;  // to be printed, if any
};

struct Flags {
  ConfigSources sources;
  std::string model, sizes, format = "text";
};

void AddFlags(CLI::App* app, Flags* flags, CommandLine* line) {
  app->add_option("--config", flags->sources.yaml_path,
                  "YAML file with settings");
  app->add_option("--set", flags->sources.settings,
                  "A setting, key=value (repeatable)")
      ->take_all();
  app->add_option("--model", flags->model,
                  "GGUF file whose message sizes are measured");
  app->add_option("--sizes", flags->sizes,
                  "Bytes instead of a model's, as 1024,65536");
  app->add_option("-w,--warmup", line->options.warm_up, "Calls before those")
      ->check(CLI::Range(0, 1000000));
  app->add_option("-n,--iters", line->options.calls, "Timed calls")
      ->check(CLI::Range(1, 1000000));
  app->add_option("-o,--output", flags->format, "text, csv or json");
}

absl::Status ReadFlags(const Flags& flags, CommandLine* line) {
  constexpr int64_t kMostBytes = int64_t{1} << 30;
  ConfigSources sources = flags.sources;
  sources.environment = environ;
  if (!flags.model.empty()) {
    sources.settings.push_back("model=" + YamlQuoted(flags.model));
  }
  ASSIGN_OR_RETURN(line->config, LoadConfig(sources));
  ASSIGN_OR_RETURN(line->format, ParseCommFormat(flags.format));
  if (!flags.sizes.empty()) {
    ASSIGN_OR_RETURN(line->sizes,
                     ParseCounts("--sizes", flags.sizes, 4, kMostBytes));
  } else if (line->config.model.empty()) {
    line->sizes = {256, 1024, 4096, 16384, 65536, 262144, 1048576};
  }
  return absl::OkStatus();
}

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  Flags flags;
  CLI::App app("Measures what ranks exchange, at the engine's message sizes.");
  AddFlags(&app, &flags, &line);
  RETURN_IF_ERROR(ParseFlags(app, argc, argv, &line.help));
  if (!line.help.empty()) return line;
  RETURN_IF_ERROR(ReadFlags(flags, &line));
  return line;
}

// What the ranks talk over, and how.
std::string Transport(const EngineConfig& config, int ranks) {
  const bool mpi =
      config.comm == "mpi" || (config.comm == "auto" && LaunchedByMpi());
  if (config.comm == "nccl") {
    return config.backend == "cuda" ? "nccl queue" : "nccl";
  }
  return mpi ? "mpi" : ranks > 1 ? "threads" : "none";
}

// What is measured: the engine's messages, or each operation at each size.
std::vector<EngineMessage> Messages(const CommandLine& line,
                                    const ModelConfig& model, int ranks) {
  if (line.sizes.empty()) {
    return EngineMessages(model, line.config.prefill_chunk, ranks);
  }
  std::vector<EngineMessage> messages;
  for (const CommOperation operation : kCommOperations) {
    for (const int64_t bytes : line.sizes) {
      messages.push_back({operation, bytes / 4, ""});
    }
  }
  return messages;
}

absl::Status Measure(const CommandLine& line, RankContext rank) {
  Communicator& world = *rank.world;
  CommBenchOptions options = line.options;
  EngineOptions engine_options;
  engine_options.device = rank.device;
  const auto backend = MakeBackend(line.config.backend, engine_options);
  RETURN_IF_ERROR(AgreeOnStatus(world, backend.status()));
  options.backend = backend->get();
  Model model;
  if (line.sizes.empty()) {
    auto loaded = LoadModel(line.config);
    RETURN_IF_ERROR(AgreeOnStatus(world, loaded.status()));
    model = *std::move(loaded);
    options.head_dim = model.config.head_dim;
  }
  CommTable table(Transport(line.config, world.size()), line.format);
  const bool prints = world.rank() == 0;
  for (const EngineMessage& message :
       Messages(line, model.config, world.size())) {
    CommRow row =
        MeasureComm(message.operation, message.floats, options, world);
    row.step = message.step;
    const std::string text = table.Add(row);
    if (prints) Print(text);
  }
  if (prints) Print(table.End());
  if (table.wrong() == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(table.wrong(), " numbers that were exchanged are wrong"));
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  return subgen::RunProgram<subgen::CommandLine>(subgen::Parse(argc, argv),
                                                 subgen::Measure);
}
