// These are the rows of a picture, and the axes on which they are drawn.
#pragma once

#include <string>
#include <vector>

#include "launch/evaluation/result_table.h"

namespace subgen {

// A curve is one policy at several budgets.
struct PlotCurve {
  std::string policy;
  std::vector<const ResultRow*> rows;  // ascending in bytes
};

// These are the rows of one task, metric and mode.
struct PlotRows {
  std::string task, metric, mode;
  std::vector<PlotCurve> curves;        // one at least
  std::vector<const ResultRow*> exact;  // may be empty
};

std::vector<const ResultRow*> AllRows(const PlotRows& rows);

// This says how a metric is drawn: values beyond `least` and `most` cannot be.
struct MetricScale {
  std::string label;  // of the axis, with what is better
  double least = 0.0, most = 0.0;
  bool logarithmic = false;
};
MetricScale ScaleOf(const std::string& metric);

// Returns the range of the vertical axis: all values with a margin, and
// intervals as far as they do not flatten the rest.
struct PlotRange {
  double low = 0.0, high = 1.0;
};
PlotRange RangeOf(const PlotRows& rows, const MetricScale& scale);

// An interval needs so many samples to say something.
inline constexpr int64_t kFewestSamples = 3;

// Returns the same estimate within what is possible. With fewer samples its
// interval is NaN.
Estimate Clipped(Estimate estimate, const MetricScale& scale);

// Returns per cent of what exact attention holds, if that is known, else
// kilobytes.
struct MemoryAxis {
  double bytes_per_unit = 1000.0;
  std::string label = "memory per KV head (kB)";
  double end = 0.0;
};
MemoryAxis MemoryAxisOf(const PlotRows& rows);

// Returns gnuplot's lines that set labels, ranges and ticks of both axes.
std::string AxesScript(const PlotRows& rows, const MetricScale& scale);

// Puts text into gnuplot's single quotes, in which nothing is run or replaced,
// and a number into its notation; gnuplot leaves out those that are none.
std::string GnuplotQuoted(const std::string& text);
std::string GnuplotNumber(double value);

}  // namespace subgen
