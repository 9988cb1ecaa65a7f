#include "launch/evaluation/plots.h"

#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

extern char** environ;

namespace subgen {
namespace {

// Keeps letters, digits and _ only.
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

std::vector<Plot> MakePlots(const std::vector<ResultRow>& rows,
                            const PlotSubject& subject) {
  using Key = std::tuple<std::string, std::string, std::string>;
  std::map<Key, PlotRows> pictures;
  for (const ResultRow& row : rows) {
    if (row.layer >= 0 || row.mode == "exact") continue;
    PlotRows& picture = pictures[{row.task, row.metric, row.mode}];
    std::vector<PlotCurve>& curves = picture.curves;
    auto curve = std::find_if(
        curves.begin(), curves.end(),
        [&](const PlotCurve& c) { return c.policy == row.policy; });
    if (curve == curves.end()) curve = curves.insert(curve, {row.policy, {}});
    curve->rows.push_back(&row);
  }
  std::vector<Plot> plots;
  for (auto& [key, picture] : pictures) {
    std::tie(picture.task, picture.metric, picture.mode) = key;
    for (PlotCurve& curve : picture.curves) {
      std::sort(curve.rows.begin(), curve.rows.end(),
                [](const ResultRow* a, const ResultRow* b) {
                  return a->bytes_per_head < b->bytes_per_head;
                });
    }
    for (const ResultRow& row : rows) {
      if (row.task == picture.task && row.metric == picture.metric &&
          row.mode == "exact" && row.layer < 0) {
        picture.exact.push_back(&row);
      }
    }
    const std::string name =
        absl::StrCat(picture.task, ", ", picture.metric, ", ", picture.mode);
    plots.push_back({FileName(name), PlotScript(picture, subject)});
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
    file << "set output " << GnuplotQuoted(base + ".png") << "\n"
         << plot.script;
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
