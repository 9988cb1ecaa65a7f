#include "launch/evaluation/plots.h"

#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "kernels/base/status_macros.h"

extern char** environ;

namespace subgen {
namespace {

// In single quotes, where gnuplot knows no other escape.
std::string Quote(const std::string& text) {
  return absl::StrCat(
      "'", absl::StrReplaceAll(text, {{"'", "''"}, {"\n", " "}}), "'");
}

// Letters, digits and _ only.
std::string FileName(const std::string& text) {
  std::string name;
  for (const char c : text) {
    if (absl::ascii_isalnum(c)) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (absl::EndsWith(name, "_")) name.pop_back();
  return name;
}

struct Curve {
  std::string policy;
  std::vector<const ResultRow*> rows;  // ascending in bytes
};

std::string CurveData(const Curve& curve, int index) {
  std::string data = absl::StrCat("$data", index, " << EOD\n");
  for (const ResultRow* row : curve.rows) {
    const Estimate& estimate = row->estimate;
    const bool known = !std::isnan(estimate.low);
    absl::StrAppendFormat(&data, "%.9g %.9g %.9g %.9g\n", row->bytes_per_head,
                          estimate.value, known ? estimate.low : estimate.value,
                          known ? estimate.high : estimate.value);
  }
  return data + "EOD\n";
}

// Exact attention is a line over all memory sizes, the others are curves.
std::string Script(const std::string& title, const std::vector<Curve>& curves,
                   const std::vector<const ResultRow*>& exact) {
  std::string script = absl::StrCat(
      "set terminal pngcairo noenhanced size 900,600\nset title ", Quote(title),
      "\nset xlabel 'bytes per KV head'\nset key outside right\nset grid\n");
  const bool share =
      absl::StrContains(title, "share") || absl::StrContains(title, "accuracy");
  script += share ? "set yrange [0:1.05]\n" : "set logscale y\n";
  std::vector<std::string> parts;
  for (size_t i = 0; i < curves.size(); ++i) {
    const int index = static_cast<int>(i);
    script += CurveData(curves[i], index);
    parts.push_back(absl::StrCat(
        "$data", index, " using 1:2:3:4 with yerrorlines linewidth 2 title ",
        Quote(curves[i].policy)));
  }
  for (const ResultRow* row : exact) {
    parts.push_back(absl::StrFormat("%.9g with lines dashtype 2 title %s",
                                    row->estimate.value, Quote(row->policy)));
  }
  absl::StrAppend(&script, "plot ", absl::StrJoin(parts, ", \\\n     "), "\n");
  return script;
}

absl::Status RunGnuplot(const std::string& script) {
  const char* const arguments[] = {"gnuplot", script.c_str(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "gnuplot", nullptr, nullptr,
                                 const_cast<char* const*>(arguments), environ);
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat(
        "--plot: gnuplot cannot be started: ", std::strerror(error),
        "; install it (Debian package gnuplot-nox) or run it on ", script));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("--plot: gnuplot failed on ", script));
}

}  // namespace

std::vector<Plot> MakePlots(const std::vector<ResultRow>& rows) {
  using Key = std::tuple<std::string, std::string, std::string>;
  std::map<Key, std::vector<Curve>> pictures;
  for (const ResultRow& row : rows) {
    if (row.layer >= 0 || row.mode == "exact") continue;
    std::vector<Curve>& curves = pictures[{row.task, row.metric, row.mode}];
    auto curve =
        std::find_if(curves.begin(), curves.end(),
                     [&](const Curve& c) { return c.policy == row.policy; });
    if (curve == curves.end()) curve = curves.insert(curve, {row.policy, {}});
    curve->rows.push_back(&row);
  }
  std::vector<Plot> plots;
  for (auto& [key, curves] : pictures) {
    const auto& [task, metric, mode] = key;
    for (Curve& curve : curves) {
      std::sort(curve.rows.begin(), curve.rows.end(),
                [](const ResultRow* a, const ResultRow* b) {
                  return a->bytes_per_head < b->bytes_per_head;
                });
    }
    std::vector<const ResultRow*> exact;
    for (const ResultRow& row : rows) {
      if (row.task == task && row.metric == metric && row.mode == "exact" &&
          row.layer < 0) {
        exact.push_back(&row);
      }
    }
    const std::string title = absl::StrCat(task, ", ", metric, ", ", mode);
    plots.push_back({FileName(title), Script(title, curves, exact)});
  }
  return plots;
}

absl::Status WritePlots(const std::vector<Plot>& plots,
                        const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  for (const Plot& plot : plots) {
    const std::string base = absl::StrCat(folder, "/", plot.name);
    const std::string path = base + ".gnuplot";
    std::ofstream file(path);
    file << "set output " << Quote(base + ".png") << "\n" << plot.script;
    file.close();
    if (!file) {
      return absl::InvalidArgumentError(
          absl::StrCat("--plot: cannot write ", path));
    }
    RETURN_IF_ERROR(RunGnuplot(path));
  }
  return absl::OkStatus();
}

}  // namespace subgen
