// subgen_bench_kernels: the kernels of a backend beside its memory bandwidth.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/config/config_file.h"
#include "engine/decode/engine.h"
#include "launch/bench/kernel_bench.h"
#include "launch/bench/result_rows.h"
#include "launch/bench/samples.h"
#include "launch/program.h"

extern char** environ;

namespace subgen {
namespace {

struct CommandLine {
  EngineConfig config;
  KernelBenchOptions options;
  RowFormatting format = RowFormatting::kMarkdown;
  std::string help;
};

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  ConfigSources sources;
  std::string rows, kernels, format = "md";
  CLI::App app("Measures kernels beside the bandwidth of a copy.");
  app.add_option("--config", sources.yaml_path, "YAML file with settings");
  app.add_option("--set", sources.settings,
                 "A setting, key=value (repeatable), as backend=cuda")
      ->take_all();
  app.add_option("--rows", rows, "Rows of a KV head, as 8192,131072");
  app.add_option("--kernels", kernels,
                 "Of linear, prompt, attention, distances");
  app.add_option("--kv_heads", line.options.kv_heads)
      ->check(CLI::Range(1, 1024));
  app.add_option("--group", line.options.group, "Query heads of a KV head")
      ->check(CLI::Range(1, 64));
  app.add_option("--prompt_tokens", line.options.prompt_tokens)
      ->check(CLI::Range(1, 65536));
  app.add_option("--head_dim", line.options.head_dim)
      ->check(CLI::Range(8, 256));
  app.add_option("--embedding", line.options.embedding)
      ->check(CLI::Range(256, 65536));
  app.add_option("--feed_forward", line.options.feed_forward)
      ->check(CLI::Range(256, 262144));
  app.add_option("-r,--repetitions", line.options.repetitions)
      ->check(CLI::Range(1, 1000));
  app.add_option("--seconds", line.options.seconds, "Of a repetition")
      ->check(CLI::Range(0.0, 60.0));
  app.add_option("-o,--output", format, "md, csv or json");
  RETURN_IF_ERROR(ParseFlags(app, argc, argv, &line.help));
  if (!line.help.empty()) return line;
  sources.environment = environ;
  ASSIGN_OR_RETURN(line.config, LoadConfig(sources));
  ASSIGN_OR_RETURN(line.format, ParseRowFormatting(format));
  ASSIGN_OR_RETURN(line.options.row_format,
                   ParseRowFormat(line.config.cache.row_format));
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

// Rows as they come; a share is of the copy's bandwidth, the first row.
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
  auto backend = MakeBackend(line.config.backend, hardware);
  RETURN_IF_ERROR(AgreeOnStatus(*rank.world, backend.status()));
  KernelTable table(line.config.backend, line.format);
  const bool prints = rank.world->rank() == 0;
  RunKernelBench(line.options, **backend, [&](const KernelRow& row) {
    const std::string text = table.Add(row);
    if (prints) Print(text);
  });
  if (prints) Print(table.End());
  return absl::OkStatus();
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  return subgen::RunProgram<subgen::CommandLine>(subgen::Parse(argc, argv),
                                                 subgen::Measure);
}
