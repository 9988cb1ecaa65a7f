// This leads from main to every rank, the same way for every program that has
// ranks.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "comm/agreement.h"
#include "kernels/base/status_macros.h"
#include "launch/ranks/bring_up.h"
#include "launch/ranks/output.h"

namespace subgen {

// Runs `body` on every rank and returns main's exit code. CommandLine has
// `config` and `help`, a text to be printed instead. An error of any rank's
// command line is that of all.
template <class CommandLine>
int RunProgram(
    const absl::StatusOr<CommandLine>& line,
    const std::function<absl::Status(const CommandLine&, RankContext)>& body) {
  const EngineConfig config = line.ok() ? line->config : EngineConfig();
  return RunRanks(config, [&](RankContext rank) -> absl::Status {
    RETURN_IF_ERROR(AgreeOnStatus(*rank.world, line.status()));
    if (line->help.empty()) return body(*line, std::move(rank));
    return AgreeOnStatus(*rank.world, rank.world->rank() == 0
                                          ? Print(line->help)
                                          : absl::OkStatus());
  });
}

}  // namespace subgen
