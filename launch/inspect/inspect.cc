// subgen_inspect shows what a model file holds, how it would be sharded, and
// its tokenizer.
#include <iostream>

#include "launch/flags/flags.h"
#include "launch/inspect/inspection.h"
#include "launch/ranks/program.h"

namespace subgen {
namespace {

struct CommandLine {
  EngineConfig config;
  int ranks = 0;
  GridOptions grid;
  bool tensors = false;
  bool tokenize = false;
  std::string help;  // to be printed, if any
};

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  line.config.comm = "none";
  ASSIGN_OR_RETURN(
      line.help,
      ParseFlags(
          {"subgen_inspect",
           "Shows a GGUF model: metadata, tensors, shard plan.",
           {{.names = "model",
             .target = &line.config.model,
             .help = "GGUF file",
             .value = "MODEL",
             .required = true},
            {"--ranks", &line.ranks,
             "Show the shard plan of so many ranks instead of the tensors",
             "RANKS", 1, 65536},
            {"--head_shards", &line.grid.head_shards, "Of the plan; 0: chosen",
             "SHARDS"},
            {"--token_shards", &line.grid.token_shards,
             "Of the plan; 0: chosen", "SHARDS"},
            {"--tensors", &line.tensors, "Show the tensors beside a plan too"},
            {"--tokenize", &line.tokenize,
             "Read JSON strings, one a line, from standard input and print a "
             "JSON list of token ids for each"}},
           {"subgen_inspect model.gguf --ranks 4"}},
          argc, argv));
  return line;
}

absl::Status Inspect(const CommandLine& line, const RankContext&) {
  if (line.tokenize) {
    ASSIGN_OR_RETURN(const Model model, LoadModel(line.config));
    return TokenizeLines(*model.tokenizer, std::cin);
  }
  ASSIGN_OR_RETURN(const auto file, GgufFile::Open(line.config.model));
  RETURN_IF_ERROR(Print(DescribeMetadata(*file)));
  if (line.ranks == 0 || line.tensors) {
    RETURN_IF_ERROR(Print(DescribeTensors(*file)));
  }
  ASSIGN_OR_RETURN(const Model model, LoadModel(line.config));
  ASSIGN_OR_RETURN(
      const GridShape shape,
      PlanGrid(line.grid, std::max(1, line.ranks), model.file.config.kv_heads));
  return Print(DescribePlan(model, shape));
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  return subgen::RunProgram<subgen::CommandLine>(subgen::Parse(argc, argv),
                                                 subgen::Inspect);
}
