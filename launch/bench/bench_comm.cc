// subgen_bench_comm times collectives and merges at the engine's message sizes.
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
#include "launch/flags/flags.h"
#include "launch/ranks/program.h"

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

ProgramFlags AllFlags(Flags* flags, CommandLine* line) {
  ProgramFlags program = {
      "subgen_bench_comm",
      "Measures what ranks exchange, at the engine's message sizes.",
      SettingFlags(&flags->sources, &flags->model),
      {"mpirun -n 2 subgen_bench_comm --model model.gguf"}};
  const std::vector<Flag> own = {
      {"--sizes", &flags->sizes, "Bytes instead of a model's, as 1024,65536",
       "BYTES,..."},
      {"-w,--warmup", &line->options.warm_up, "Calls before those that count",
       "CALLS", 0, 1000000},
      {"-n,--iters", &line->options.calls, "Timed calls", "CALLS", 1, 1000000},
      {"-o,--output", &flags->format, "text, csv or json", "FORMAT"}};
  program.flags.insert(program.flags.end(), own.begin(), own.end());
  return program;
}

absl::Status ReadFlags(const Flags& flags, CommandLine* line) {
  constexpr int64_t kMostBytes = int64_t{1} << 30;
  ConfigSources sources = flags.sources;
  AddModelAndEnvironment(flags.model, &sources);
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
  ASSIGN_OR_RETURN(line.help, ParseFlags(AllFlags(&flags, &line), argc, argv));
  if (!line.help.empty()) return line;
  RETURN_IF_ERROR(ReadFlags(flags, &line));
  return line;
}

// Names what the ranks talk over, and how.
std::string Transport(const EngineConfig& config, int ranks) {
  const bool mpi =
      config.comm == "mpi" || (config.comm == "auto" && LaunchedByMpi());
  if (config.comm == "nccl") {
    return config.backend == "cuda" ? "nccl queue" : "nccl";
  }
  return mpi ? "mpi" : ranks > 1 ? "threads" : "none";
}

// Lists what is measured: the engine's messages, or each operation at each
// size.
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
  const auto backend = MakeBackend(line.config, engine_options);
  RETURN_IF_ERROR(AgreeOnStatus(world, backend.status()));
  options.backend = backend->get();
  Model model;
  if (line.sizes.empty()) {
    auto loaded = LoadModel(line.config);
    RETURN_IF_ERROR(AgreeOnStatus(world, loaded.status()));
    model = *std::move(loaded);
    options.head_dim = model.file.config.head_dim;
  }
  CommTable table(Transport(line.config, world.size()), line.format);
  const bool prints = world.rank() == 0;
  for (const EngineMessage& message :
       Messages(line, model.file.config, world.size())) {
    CommRow row =
        MeasureComm(message.operation, message.floats, options, world);
    row.step = message.step;
    const std::string text = table.Add(row);
    if (prints) (void)Print(text);  // told at the end
  }
  if (prints) (void)Print(table.End());
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
