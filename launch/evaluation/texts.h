// Texts to measure on, as tokens, and excerpts of them drawn by a seed.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/text/tokenizer.h"

namespace subgen {

struct Text {
  std::string name;  // its path
  std::vector<int> tokens;
};

// The first megabyte of each file. Without paths: licences that Debian has on
// every machine, and the Bible where the package bible-kjv is installed.
absl::StatusOr<std::vector<Text>> LoadTexts(
    const std::vector<std::string>& paths, const Tokenizer& tokenizer);

// Which excerpt: a function of the seed, the item and nothing else.
struct Draw {
  uint64_t seed = 0;
  int64_t item = 0;
  int part = 0;  // of several excerpts of one item

  // Uniform in [0, below).
  int64_t Below(int64_t below, uint32_t draw = 0) const;
};

// `count` consecutive tokens from anywhere in a text: of those that are long
// enough, the item-th, round and round. An error where there is none.
absl::StatusOr<std::vector<int>> Excerpt(const std::vector<Text>& texts,
                                         int64_t count, Draw draw);

// Two excerpts that share no token of a text: of two texts, or where there is
// only one, of its two halves.
struct ExcerptPair {
  std::vector<int> a, b;
};
absl::StatusOr<ExcerptPair> UnrelatedExcerpts(const std::vector<Text>& texts,
                                              int64_t count_a, int64_t count_b,
                                              Draw draw);

}  // namespace subgen
