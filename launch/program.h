// From main to every rank, the same way for every program that has ranks.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "comm/agreement.h"
#include "kernels/base/status_macros.h"
#include "launch/bring_up.h"

namespace subgen {

// Where --help is asked for, `help` is its text and the flags are as they were.
inline absl::Status ParseFlags(CLI::App& app, int argc, char** argv,
                               std::string* help) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    *help = app.help();
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

inline void Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

// Runs `body` on every rank and returns main's exit code. CommandLine has
// `config` and `help`, a text to be printed instead; an error of any rank's
// line is that of all.
template <class CommandLine>
int RunProgram(
    const absl::StatusOr<CommandLine>& line,
    const std::function<absl::Status(const CommandLine&, RankContext)>& body) {
  const EngineConfig config = line.ok() ? line->config : EngineConfig();
  return RunRanks(config, [&](RankContext rank) -> absl::Status {
    RETURN_IF_ERROR(AgreeOnStatus(*rank.world, line.status()));
    if (line->help.empty()) return body(*line, std::move(rank));
    if (rank.world->rank() == 0) Print(line->help);
    return absl::OkStatus();
  });
}

}  // namespace subgen
