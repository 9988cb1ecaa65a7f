// The rows of a picture, and the axes on which they are drawn.
#pragma once

#include <string>
#include <vector>

#include "launch/evaluation/result_table.h"

namespace subgen {

// One policy at several budgets.
struct PlotCurve {
  std::string policy;
  std::vector<const ResultRow*> rows;  // ascending in bytes
};

// Rows of one task, metric and mode.
struct PlotRows {
  std::string task, metric, mode;
  std::vector<PlotCurve> curves;        // one at least
  std::vector<const ResultRow*> exact;  // may be empty
};

std::vector<const ResultRow*> AllRows(const PlotRows& rows);

// How a metric is drawn: values beyond `least` and `most` cannot be.
struct MetricScale {
  std::string label;  // of the axis, with what is better
  double least = 0.0, most = 0.0;
  bool logarithmic = false;
};
MetricScale ScaleOf(const std::string& metric);

// The range of the vertical axis: all values with a margin, and intervals as
// far as they do not flatten the rest.
struct PlotRange {
  double low = 0.0, high = 1.0;
};
PlotRange RangeOf(const PlotRows& rows, const MetricScale& scale);

// For an interval to say something.
inline constexpr int64_t kFewestSamples = 3;

// The same estimate within what is possible; of fewer samples its interval is
// NaN.
Estimate Clipped(Estimate estimate, const MetricScale& scale);

// Per cent of what exact attention holds, where that is known, else kilobytes.
struct MemoryAxis {
  double bytes_per_unit = 1000.0;
  std::string label = "memory per KV head (kB)";
  double end = 0.0;
};
MemoryAxis MemoryAxisOf(const PlotRows& rows);

// gnuplot's lines that set labels, ranges and ticks of both axes.
std::string AxesScript(const PlotRows& rows, const MetricScale& scale);

// In gnuplot's single quotes, in which nothing is run or replaced; and a number
// in its notation, of which it leaves out those that are none.
std::string GnuplotQuoted(const std::string& text);
std::string GnuplotNumber(double value);

}  // namespace subgen
