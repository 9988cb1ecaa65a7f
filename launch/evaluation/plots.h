// Error and accuracy are drawn against memory, as PNG files made by gnuplot.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "launch/evaluation/plot_script.h"
#include "launch/evaluation/result_table.h"

namespace subgen {

// A plot is one picture of a task, metric and mode: one line per policy.
struct Plot {
  std::string name;    // of its file, without folder and ending
  std::string script;  // gnuplot's, complete but for where the picture goes
};
std::vector<Plot> MakePlots(const std::vector<ResultRow>& rows,
                            const PlotSubject& subject);

// Writes each plot's script and picture into the folder, which is made if it is
// absent. A folder that cannot be written is an error, and so is a machine
// without gnuplot.
absl::Status WritePlots(const std::vector<Plot>& plots,
                        const std::string& folder);

}  // namespace subgen
