// A picture is a gnuplot script: error or accuracy against memory, one line per
// policy, exact attention across the frame.
#pragma once

#include <string>
#include <vector>

#include "launch/evaluation/plot_axes.h"

namespace subgen {

// This says what the rows are about, for titles, and which policies are set
// apart.
struct PlotSubject {
  std::string model;                // its name
  std::string texts;                // "GPL-3, MPL-2.0", or empty
  std::vector<std::string> subgen;  // names of the policies that are SubGen's
};

// Returns a script that is complete but for where the picture goes ("set
// output").
std::string PlotScript(const PlotRows& rows, const PlotSubject& subject);

}  // namespace subgen
