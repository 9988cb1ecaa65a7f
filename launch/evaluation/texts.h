// These are texts to measure on, as tokens, and excerpts of them drawn by a
// seed.
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

// Reads the first megabyte of each file. Without paths it reads licenses that
// Debian has on every machine, and the Bible if the package bible-kjv is
// installed.
absl::StatusOr<std::vector<Text>> LoadTexts(
    const std::vector<std::string>& paths, const Tokenizer& tokenizer);

// A draw says which excerpt is taken, as a function of the seed, the item and
// nothing else.
struct Draw {
  uint64_t seed = 0;
  int64_t item = 0;
  int part = 0;  // of several excerpts of one item

  // Draws uniformly from [0, below).
  int64_t Below(int64_t below, uint32_t draw = 0) const;
};

// Returns `count` consecutive tokens from anywhere in a text: the item-th of
// those that are long enough, round and round. It is an error if there is none.
absl::StatusOr<std::vector<int>> Excerpt(const std::vector<Text>& texts,
                                         int64_t count, Draw draw);

// Returns two excerpts that share no token of a text: from two texts, or if
// there is only one, from its two halves.
struct ExcerptPair {
  std::vector<int> a, b;
};
absl::StatusOr<ExcerptPair> UnrelatedExcerpts(const std::vector<Text>& texts,
                                              int64_t count_a, int64_t count_b,
                                              Draw draw);

}  // namespace subgen
