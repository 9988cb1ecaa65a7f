// subgen_bench_kernels times the kernels of a backend beside its memory
// bandwidth.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/config/config_file.h"
#include "engine/decode/engine.h"
#include "launch/bench/kernel_bench.h"
#include "launch/bench/result_rows.h"
#include "launch/bench/samples.h"
#include "launch/flags/flags.h"
#include "launch/ranks/program.h"

namespace subgen {
namespace {

struct CommandLine {
  EngineConfig config;
  KernelBenchOptions options;
  RowFormatting format = RowFormatting::kMarkdown;
  std::string help;
};

// These are the arguments as they were typed.
struct Flags {
  ConfigSources sources;
  std::string model;  // not used by any kernel
  std::string rows, kernels, format = "md";
};

ProgramFlags AllFlags(Flags* flags, KernelBenchOptions* options) {
  ProgramFlags program = {"subgen_bench_kernels",
                          "Measures kernels beside the bandwidth of a copy.",
                          SettingFlags(&flags->sources, &flags->model),
                          {"subgen_bench_kernels --set backend=cuda --rows "
                           "8192,131072"}};
  const std::vector<Flag> own = {
      {"--rows", &flags->rows, "Rows of a KV head, as 8192,131072", "ROWS,..."},
      {"--kernels", &flags->kernels, "Of linear, prompt, attention, distances",
       "KERNEL,..."},
      {"--kv_heads", &options->kv_heads, "Of attention", "HEADS", 1, 1024},
      {"--group", &options->group, "Query heads of a KV head", "HEADS", 1, 64},
      {"--prompt_tokens", &options->prompt_tokens, "Of the prompt's kernels",
       "TOKENS", 1, 65536},
      {"--head_dim", &options->head_dim, "Numbers of a key", "NUMBERS", 8, 256},
      {"--embedding", &options->embedding, "Columns of the weights", "NUMBERS",
       256, 65536},
      {"--feed_forward", &options->feed_forward, "Rows of the weights",
       "NUMBERS", 256, 262144},
      {"-r,--repetitions", &options->repetitions, "Of each kernel", "COUNT", 1,
       1000},
      {"--seconds", &options->seconds, "Of a repetition", "SECONDS", 0.0, 60.0},
      {"-o,--output", &flags->format, "md, csv or json", "FORMAT"}};
  program.flags.insert(program.flags.end(), own.begin(), own.end());
  return program;
}

absl::Status CheckRows(const CommandLine& line) {
  if (line.options.embedding % 256 != 0) {
    return absl::InvalidArgumentError("--embedding must be a multiple of 256");
  }
  if (line.options.head_dim %
          RowBlock(line.options.row_format, line.options.head_dim) !=
      0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--head_dim ", line.options.head_dim, ": rows of ",
                     line.config.cache.row_format, " are of multiples of 32"));
  }
  return absl::OkStatus();
}

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  Flags flags;
  ASSIGN_OR_RETURN(line.help,
                   ParseFlags(AllFlags(&flags, &line.options), argc, argv));
  if (!line.help.empty()) return line;
  const std::string &rows = flags.rows, &kernels = flags.kernels;
  ConfigSources sources = flags.sources;
  AddModelAndEnvironment(flags.model, &sources);
  ASSIGN_OR_RETURN(line.config, LoadConfig(sources));
  ASSIGN_OR_RETURN(line.format, ParseRowFormatting(flags.format));
  ASSIGN_OR_RETURN(line.options.row_format,
                   ParseRowFormat(line.config.cache.row_format));
  RETURN_IF_ERROR(CheckRows(line));
  if (!kernels.empty()) {
    ASSIGN_OR_RETURN(line.options.kernels, ParseNames("--kernels", kernels));
  }
  const std::vector<std::string> legal = KernelBenchOptions().kernels;
  for (const std::string& kernel : line.options.kernels) {
    if (std::find(legal.begin(), legal.end(), kernel) == legal.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--kernels ", kernel, ": legal are ", absl::StrJoin(legal, ", ")));
    }
  }
  if (!rows.empty()) {
    ASSIGN_OR_RETURN(line.options.rows,
                     ParseCounts("--rows", rows, 1, int64_t{1} << 26));
  }
  return line;
}

// Prints rows as they come. A share is that of the copy's bandwidth, which is
// the first row.
class KernelTable {
 public:
  KernelTable(std::string backend, RowFormatting format)
      : backend_(std::move(backend)), format_(format) {}

  std::string Add(const KernelRow& row) {
    const bool first = copy_ == 0.0;
    if (first) copy_ = row.bandwidth();
    nlohmann::ordered_json object;
    object["backend"] = backend_;
    object["kernel"] = row.kernel;
    object["shape"] = row.shape;
    object["bytes"] = row.bytes;
    object["microseconds"] = row.microseconds;
    object["gigabytes_per_second"] = row.bandwidth();
    object["share_of_copy"] = row.bandwidth() / copy_;
    object["teraflops_per_second"] = row.speed();
    if (format_ == RowFormatting::kCsv) {
      return (first ? CsvHeader(object) : "") + CsvRow(object);
    }
    if (format_ == RowFormatting::kJson) {
      all_.push_back(std::move(object));
      return "";
    }
    return (first ? MarkdownRow({"kernel", "shape", "MB", "us", "GB/s",
                                 "of a copy", "TFLOP/s"}) +
                        MarkdownRule(7, 2)
                  : "") +
           MarkdownRow(
               {row.kernel, row.shape, absl::StrFormat("%.1f", row.bytes / 1e6),
                absl::StrFormat("%.1f", row.microseconds),
                absl::StrFormat("%.1f", row.bandwidth()),
                absl::StrFormat("%.0f %%", 100.0 * row.bandwidth() / copy_),
                absl::StrFormat("%.3g", row.speed())});
  }
  std::string End() const {
    return format_ == RowFormatting::kJson ? all_.dump(2) + "\n" : "";
  }

 private:
  const std::string backend_;
  const RowFormatting format_;
  double copy_ = 0.0;
  nlohmann::ordered_json all_ = nlohmann::ordered_json::array();
};

absl::Status Measure(const CommandLine& line, RankContext rank) {
  EngineOptions hardware;
  hardware.threads = ThreadsOfRank(line.config.threads, rank.ranks_on_host);
  hardware.device = rank.device;
  auto backend = MakeBackend(line.config, hardware);
  RETURN_IF_ERROR(AgreeOnStatus(*rank.world, backend.status()));
  KernelTable table(line.config.backend, line.format);
  const bool prints = rank.world->rank() == 0;
  RunKernelBench(line.options, **backend, [&](const KernelRow& row) {
    const std::string text = table.Add(row);
    if (prints) (void)Print(text);
  });
  if (prints) (void)Print(table.End());
  return absl::OkStatus();
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  return subgen::RunProgram<subgen::CommandLine>(subgen::Parse(argc, argv),
                                                 subgen::Measure);
}
