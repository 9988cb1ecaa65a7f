#include "launch/bench/samples.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {

double Mean(Vector<const double> samples) {
  SUBGEN_CHECK(!samples.empty());
  return std::accumulate(samples.begin(), samples.end(), 0.0) / samples.size();
}

double Median(Vector<const double> samples) {
  SUBGEN_CHECK(!samples.empty());
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  if (sorted.size() % 2 == 1) return sorted[middle];
  return 0.5 * (sorted[middle - 1] + sorted[middle]);
}

double StandardDeviation(Vector<const double> samples) {
  const double mean = Mean(samples);
  if (samples.size() == 1) return 0.0;
  double squares = 0.0;
  for (const double sample : samples) {
    squares += (sample - mean) * (sample - mean);
  }
  return std::sqrt(squares / (samples.size() - 1));
}

absl::StatusOr<std::vector<std::string>> ParseNames(const std::string& flag,
                                                    const std::string& list) {
  std::vector<std::string> names = absl::StrSplit(list, ',');
  for (const std::string& name : names) {
    if (name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " ", Quoted(list), ": names between commas"));
    }
  }
  return names;
}

absl::StatusOr<std::vector<int64_t>> ParseCounts(const std::string& flag,
                                                 const std::string& list,
                                                 int64_t least, int64_t most) {
  std::vector<int64_t> counts;
  for (const absl::string_view part : absl::StrSplit(list, ',')) {
    int64_t count = 0;
    if (!absl::SimpleAtoi(part, &count) || count < least || count > most) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, " ", Quoted(list), ": ", Quoted(part),
                       " is no whole number of ", least, " to ", most));
    }
    counts.push_back(count);
  }
  return counts;
}

}  // namespace subgen
