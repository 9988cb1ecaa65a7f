#include "launch/evaluation/plot_axes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace subgen {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

bool HasInterval(const Estimate& estimate) {
  return estimate.n >= kFewestSamples && !std::isnan(estimate.low) &&
         !std::isnan(estimate.high);
}

// Marks 1, 2, 5, 10 ... within the range, and more if those would be few:
// gnuplot itself marks powers of ten only.
std::string LogarithmicTicks(const PlotRange& range) {
  const bool fine = range.high < 30.0 * range.low;
  std::vector<double> marks = {1, 2, 5};
  if (fine) marks = {1, 1.5, 2, 3, 4, 5, 7};
  std::vector<std::string> ticks;
  for (double power = std::pow(10.0, std::floor(std::log10(range.low)));
       power <= range.high; power *= 10.0) {
    for (const double mark : marks) {
      const double at = mark * power;
      if (at >= range.low && at <= range.high)
        ticks.push_back(GnuplotNumber(at));
    }
  }
  return absl::StrCat("set ytics (", absl::StrJoin(ticks, ", "), ")\n");
}

}  // namespace

std::vector<const ResultRow*> AllRows(const PlotRows& rows) {
  std::vector<const ResultRow*> all = rows.exact;
  for (const PlotCurve& curve : rows.curves) {
    all.insert(all.end(), curve.rows.begin(), curve.rows.end());
  }
  return all;
}

std::string GnuplotQuoted(const std::string& text) {
  return absl::StrCat(
      "'", absl::StrReplaceAll(text, {{"'", "''"}, {"\n", " "}}), "'");
}

std::string GnuplotNumber(double value) {
  return std::isnan(value) ? "NaN" : absl::StrFormat("%.9g", value);
}

MetricScale ScaleOf(const std::string& metric) {
  if (absl::StartsWith(metric, "perplexity")) {
    return {metric + " (lower is better)", 1.0, kNoLimit, true};
  }
  if (absl::StartsWith(metric, "accuracy")) {
    return {"share of right answers (higher is better)", 0.0, 1.0, false};
  }
  if (absl::StartsWith(metric, "share")) {
    return {metric + " (higher is better)", 0.0, 1.0, false};
  }
  return {metric + " of attention (lower is better)", 0.0, kNoLimit, true};
}

PlotRange RangeOf(const PlotRows& rows, const MetricScale& scale) {
  if (!scale.logarithmic) return {scale.least, scale.most * 1.05};
  double low = kNoLimit, high = 0.0;
  const auto widen = [&](double value) {
    if (!(value > 0.0) || std::isinf(value)) return;  // has no logarithm
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const ResultRow* row : AllRows(rows)) widen(row->estimate.value);
  if (high == 0.0) return {0.1, 1.0};
  const double least = low / 2.0, most = high * 2.0;
  for (const PlotCurve& curve : rows.curves) {
    for (const ResultRow* row : curve.rows) {
      const Estimate estimate = Clipped(row->estimate, scale);
      if (std::isnan(estimate.low)) continue;
      widen(std::max(estimate.low, least));
      widen(std::min(estimate.high, most));
    }
  }
  return {std::max(low / 1.2, scale.least / 1.05), high * 1.2};
}

Estimate Clipped(Estimate estimate, const MetricScale& scale) {
  if (!HasInterval(estimate)) {
    estimate.low = estimate.high = std::nan("");
    return estimate;
  }
  estimate.low = std::clamp(estimate.low, scale.least, scale.most);
  estimate.high = std::clamp(estimate.high, scale.least, scale.most);
  return estimate;
}

MemoryAxis MemoryAxisOf(const PlotRows& rows) {
  MemoryAxis axis;
  if (!rows.exact.empty()) {
    const double whole = rows.exact[0]->bytes_per_head;
    axis.bytes_per_unit = whole / 100.0;
    axis.label = absl::StrFormat(
        "memory per KV head (%% of the %.0f kB of exact)", whole / 1000.0);
  }
  for (const PlotCurve& curve : rows.curves) {
    for (const ResultRow* row : curve.rows) {
      axis.end = std::max(axis.end, row->bytes_per_head / axis.bytes_per_unit);
    }
  }
  axis.end = axis.end > 0.0 ? 1.1 * axis.end : 1.0;
  return axis;
}

std::string AxesScript(const PlotRows& rows, const MetricScale& scale) {
  const MemoryAxis memory = MemoryAxisOf(rows);
  const PlotRange range = RangeOf(rows, scale);
  std::string text = absl::StrCat("set xlabel ", GnuplotQuoted(memory.label),
                                  "\nset ylabel ", GnuplotQuoted(scale.label),
                                  "\nset xrange [0:", GnuplotNumber(memory.end),
                                  "]\nset yrange [", GnuplotNumber(range.low),
                                  ":", GnuplotNumber(range.high), "]\n");
  if (!scale.logarithmic) return text;
  return absl::StrCat(text, "set logscale y\n", LogarithmicTicks(range));
}

}  // namespace subgen
