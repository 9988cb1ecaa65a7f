#include "engine/text/special_tokens.h"

#include <algorithm>

#include "engine/text/subword.h"

namespace subgen {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) {
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const int id = static_cast<int>(i);
    const absl::string_view text = vocabulary.tokens[i];
    const TokenType type = TypeOf(vocabulary, id);
    const bool control =
        type == TokenType::kControl || type == TokenType::kUnknown;
    if (text.empty() || (!control && type != TokenType::kUserDefined)) continue;
    by_length_[text.size()][text] = {id, control};
    begins_[static_cast<unsigned char>(text[0])] = true;
  }
}

std::vector<SpecialTokens::Match> SpecialTokens::Find(
    absl::string_view text, const std::vector<bool>& control_allowed) const {
  std::vector<size_t> starts;
  for (size_t i = 0; i < text.size(); ++i) {
    // Places where no special token can begin are left out once, and not for
    // each length.
    if (begins_[static_cast<unsigned char>(text[i])]) starts.push_back(i);
  }
  std::vector<Match> matches;
  if (starts.empty()) return matches;
  std::vector<bool> taken(text.size());
  for (const auto& [length, texts] : by_length_) {
    for (size_t begin : starts) {
      const size_t end = begin + length;
      if (end > text.size()) break;
      // What is taken is at least as long, so it covers an end if it overlaps.
      if (taken[begin] || taken[end - 1]) continue;
      const auto found = texts.find(text.substr(begin, length));
      if (found == texts.end()) continue;
      const auto allowed = control_allowed.begin();
      // A control token counts only where each of its bytes is the template's:
      // neither half of it may come from a user.
      if (found->second.control &&
          std::find(allowed + begin, allowed + end, false) != allowed + end) {
        continue;
      }
      std::fill(taken.begin() + begin, taken.begin() + end, true);
      matches.push_back({begin, end, found->second.id});
    }
  }
  std::sort(matches.begin(), matches.end(),
            [](const Match& a, const Match& b) { return a.begin < b.begin; });
  return matches;
}

}  // namespace subgen
