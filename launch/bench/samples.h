// These functions read lists of a command line, and say what repetitions show
// together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/memory/view.h"

namespace subgen {

// All of these need at least one sample.
double Mean(Vector<const double> samples);
double Median(Vector<const double> samples);
// Estimates the deviation of the population that the samples are drawn from; it
// is 0 for one sample.
double StandardDeviation(Vector<const double> samples);

// Returns the names between commas; an empty one is an error.
absl::StatusOr<std::vector<std::string>> ParseNames(const std::string& flag,
                                                    const std::string& list);
// Returns whole numbers between commas, each of [least, most]. `flag` is for
// messages.
absl::StatusOr<std::vector<int64_t>> ParseCounts(const std::string& flag,
                                                 const std::string& list,
                                                 int64_t least, int64_t most);

}  // namespace subgen
