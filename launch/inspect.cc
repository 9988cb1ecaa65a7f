// subgen_inspect: what a model file holds, how it would be sharded, and its
// tokenizer.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "kernels/base/status_macros.h"
#include "launch/bring_up.h"
#include "launch/inspection.h"

namespace subgen {
namespace {

struct CommandLine {
  std::string model;
  int ranks = 1;
  GridOptions grid;
  bool tokenize = false;
};

absl::Status Inspect(const CommandLine& line) {
  EngineConfig config;
  config.model = line.model;
  if (line.tokenize) {
    ASSIGN_OR_RETURN(const Model model, LoadModel(config));
    return TokenizeLines(*model.tokenizer, std::cin, std::cout);
  }
  ASSIGN_OR_RETURN(const auto file, GgufFile::Open(line.model));
  std::cout << DescribeMetadata(*file) << DescribeTensors(*file);
  ASSIGN_OR_RETURN(const Model model, LoadModel(config));
  ASSIGN_OR_RETURN(const GridShape shape,
                   PlanGrid(line.grid, line.ranks, model.config.kv_heads));
  std::cout << DescribePlan(model, shape);
  return absl::OkStatus();
}

}  // namespace
}  // namespace subgen

int main(int argc, char** argv) {
  subgen::CommandLine line;
  CLI::App app("Shows a GGUF model: metadata, tensors, shard plan.");
  app.add_option("model", line.model, "GGUF file")->required();
  app.add_option("--ranks", line.ranks, "Ranks to plan for")
      ->check(CLI::Range(1, 65536));
  app.add_option("--head_shards", line.grid.head_shards, "0: chosen");
  app.add_option("--token_shards", line.grid.token_shards, "0: chosen");
  app.add_flag("--tokenize", line.tokenize,
               "Read JSON strings, one a line, from standard input and print "
               "a JSON list of token ids for each");
  absl::Status parsed;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    parsed = absl::InvalidArgumentError(error.what());
  }
  subgen::EngineConfig config;
  config.comm = "none";
  return subgen::RunRanks(config, [&](subgen::RankContext) {
    return parsed.ok() ? subgen::Inspect(line) : parsed;
  });
}
