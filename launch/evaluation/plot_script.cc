#include "launch/evaluation/plot_script.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace subgen {
namespace {

// People of every color vision tell these colors apart (Okabe and Ito 2008).
// The one of SubGen is used for nothing else.
constexpr const char* kSubGenColor = "#D55E00";
constexpr const char* kColors[] = {"#0072B2", "#009E73", "#56B4E9",
                                   "#CC79A7", "#8A8A8A", "#5D3A1A"};
constexpr int kPoints[] = {5, 9, 11, 13, 4, 8, 10, 12};  // filled first
constexpr int kSubGenPoint = 7;

std::string Title(const PlotRows& rows, const PlotSubject& subject) {
  const std::string how =
      rows.mode == "once"     ? "prompt kept whole until it ends"
      : rows.mode == "stream" ? "compressed while it is read"
                              : rows.mode;
  std::vector<std::string> about = {subject.model};
  if (!subject.texts.empty() && rows.task != "lines") {
    about.push_back(subject.texts);
  }
  int64_t fewest = rows.curves[0].rows[0]->estimate.n;
  for (const ResultRow* row : AllRows(rows)) {
    fewest = std::min(fewest, row->estimate.n);
  }
  about.push_back(absl::StrCat("n = ", fewest));
  if (fewest >= kFewestSamples) about.push_back("bars: 95 %");
  return absl::StrCat(GnuplotQuoted(absl::StrCat("Task ", rows.task, ": ",
                                                 rows.metric, "; ", how)),
                      " . \"\\n\" . ",
                      GnuplotQuoted(absl::StrJoin(about, ", ")));
}

// Draws a line over the whole frame with its name, above all curves.
std::string ExactLines(const PlotRows& rows) {
  std::string text;
  for (size_t i = 0; i < rows.exact.size(); ++i) {
    const ResultRow& row = *rows.exact[i];
    const std::string at = GnuplotNumber(row.estimate.value);
    absl::StrAppend(&text, "set arrow from graph 0, first ", at,
                    " to graph 1, first ", at,
                    " nohead front linewidth 2.5 dashtype ", i + 1,
                    " linecolor 'black'\nset label ",
                    GnuplotQuoted(absl::StrFormat("%s: %.3g", row.policy,
                                                  row.estimate.value)),
                    " at graph ", i % 2 == 0 ? "0.01" : "0.4", ", first ", at,
                    " left offset 0,0.6 front\n");
  }
  return text;
}

struct CurveStyle {
  std::string color;
  int point = 0, dash = 1;
  double width = 1.5, size = 1.0;
};

// The first policy that is SubGen's is thick; its variants have its color and
// are thin and dashed.
std::vector<CurveStyle> StylesOf(const PlotRows& rows,
                                 const PlotSubject& subject) {
  std::vector<CurveStyle> styles;
  size_t others = 0;
  int variants = 0;
  for (const PlotCurve& curve : rows.curves) {
    CurveStyle style;
    if (std::count(subject.subgen.begin(), subject.subgen.end(), curve.policy) >
        0) {
      style = {kSubGenColor, kSubGenPoint, 1 + variants, 4.0, 1.6};
      if (variants++ > 0) {
        style.width = 1.5;
        style.size = 1.0;
        style.point = 6;
      }
    } else {
      style.color = kColors[others % std::size(kColors)];
      style.dash = 1 + static_cast<int>(others / std::size(kColors));
      style.point = kPoints[others++ % std::size(kPoints)];
    }
    styles.push_back(std::move(style));
  }
  return styles;
}

std::string CurveData(const PlotCurve& curve, const MetricScale& scale) {
  std::string data = "# bytes per KV head, value, 95 % interval\n";
  for (const ResultRow* row : curve.rows) {
    const Estimate estimate = Clipped(row->estimate, scale);
    absl::StrAppend(
        &data,
        absl::StrJoin(
            {GnuplotNumber(row->bytes_per_head), GnuplotNumber(estimate.value),
             GnuplotNumber(estimate.low), GnuplotNumber(estimate.high)},
            " "),
        "\n");
  }
  return data + "EOD\n";
}

// Draws both plots of curve `i`, its bars and its line; `shift` keeps the bars
// of neighbors apart.
std::string CurvePlots(size_t i, const PlotCurve& curve,
                       const CurveStyle& style, const std::string& x) {
  const std::string data = absl::StrCat("$data", i, " using ", x, ":2");
  const std::string look = absl::StrCat("linecolor '", style.color, "'");
  return absl::StrFormat(
      "%s:3:4 with yerrorbars pointtype 0 linewidth %.3g %s notitle, \\\n     "
      "%s with linespoints linewidth %.3g dashtype %d pointtype %d pointsize "
      "%.3g %s title %s",
      data, style.width > 2.0 ? 2.0 : 1.0, look, data, style.width, style.dash,
      style.point, style.size, look, GnuplotQuoted(curve.policy));
}

}  // namespace

std::string PlotScript(const PlotRows& rows, const PlotSubject& subject) {
  const MetricScale scale = ScaleOf(rows.metric);
  const MemoryAxis memory = MemoryAxisOf(rows);
  const std::vector<CurveStyle> styles = StylesOf(rows, subject);
  std::string script = absl::StrCat(
      "set terminal pngcairo noenhanced size 960,580 font 'sans,11'\n"
      "set title ",
      Title(rows, subject), "\n", AxesScript(rows, scale),
      "set key outside right center Left reverse invert samplen 3\n"
      "set grid linetype 1 linewidth 0.7 linecolor '#DDDDDD'\nset border "
      "linecolor '#444444'\n",
      ExactLines(rows));
  std::vector<std::string> plots;
  const double middle = (static_cast<double>(rows.curves.size()) - 1.0) / 2.0;
  for (size_t i = 0; i < rows.curves.size(); ++i) {
    absl::StrAppend(&script, "$data", i, " << EOD\n",
                    CurveData(rows.curves[i], scale));
    const double shift = 0.004 * memory.end * (static_cast<double>(i) - middle);
    const std::string x =
        absl::StrFormat("($1 / %.9g %+.4g)", memory.bytes_per_unit, shift);
    const bool thick = styles[i].width > 2.0;
    plots.insert(thick ? plots.end() : plots.begin(),
                 CurvePlots(i, rows.curves[i], styles[i], x));
  }
  absl::StrAppend(&script, "plot ", absl::StrJoin(plots, ", \\\n     "), "\n");
  return script;
}

}  // namespace subgen
