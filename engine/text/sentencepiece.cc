// In SentencePiece-style BPE (Kudo and Richardson 2018), as llama.cpp reads it
// from GGUF, characters are joined to the neighboring pair whose token has the
// highest score, the leftmost first, until no pair is a token.
#include <algorithm>
#include <array>
#include <cmath>
#include <queue>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "engine/text/subword.h"
#include "kernels/base/utf8.h"

namespace subgen {
namespace {

constexpr absl::string_view kSpace = "\xE2\x96\x81";  // U+2581

class SentencePiece final : public SubwordEncoder {
 public:
  explicit SentencePiece(const Vocabulary& vocabulary);
  // Checks that every byte has a token, or that there is one for what is
  // unknown.
  absl::Status Check() const;

  absl::Status Encode(absl::string_view text,
                      std::vector<int>* ids) const override;
  std::string Decode(int token) const override;

  // Returns the id of a plain token, or -1.
  int Find(absl::string_view text) const;
  float score(int token) const { return vocabulary_.scores[token]; }
  // Appends a character without token: its bytes, or the unknown token once for
  // a run of such characters.
  void AppendUnknown(absl::string_view character, bool in_run,
                     std::vector<int>* ids) const;

 private:
  const Vocabulary& vocabulary_;
  absl::flat_hash_map<absl::string_view, int> plain_;
  size_t longest_ = 0;  // plain token, bytes
  std::array<int, 256> byte_tokens_;
};

// This merges the symbols of one text in O(n log n): candidates wait in a heap,
// and those that a merge has made stale are skipped when they come out of it.
class ScoreMerger {
 public:
  ScoreMerger(const SentencePiece& pieces, absl::string_view text)
      : pieces_(pieces), text_(text) {
    size_t begin = 0;
    while (begin < text.size()) {
      const size_t bytes = FirstUtf8Character(text.substr(begin)).bytes;
      const int index = static_cast<int>(symbols_.size());
      symbols_.push_back({begin, bytes, index - 1, index + 1});
      begin += bytes;
    }
    if (!symbols_.empty()) symbols_.back().next = -1;
    for (int i = 0; i < static_cast<int>(symbols_.size()); ++i) Propose(i);
  }

  void Run(std::vector<int>* ids) {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      if (IsCurrent(best)) Join(best);
    }
    bool unknown_run = false;
    for (int i = symbols_.empty() ? -1 : 0; i >= 0; i = symbols_[i].next) {
      const absl::string_view piece = Text(symbols_[i].bytes, i);
      const int token = pieces_.Find(piece);
      if (token >= 0) {
        ids->push_back(token);
      } else {
        pieces_.AppendUnknown(piece, unknown_run, ids);
      }
      unknown_run = token < 0;
    }
  }

 private:
  struct Symbol {
    size_t begin = 0, bytes = 0;  // bytes 0: merged away
    int previous = -1, next = -1;
  };
  struct Candidate {
    float score;
    int left, right;
    size_t bytes;  // of both when it was proposed
    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };

  absl::string_view Text(size_t bytes, int symbol) const {
    return text_.substr(symbols_[symbol].begin, bytes);
  }

  void Propose(int left) {
    const int right = left < 0 ? -1 : symbols_[left].next;
    if (right < 0) return;
    const size_t bytes = symbols_[left].bytes + symbols_[right].bytes;
    const int token = pieces_.Find(Text(bytes, left));
    if (token >= 0) queue_.push({pieces_.score(token), left, right, bytes});
  }

  // Symbols only grow, so the same size means the same symbols.
  bool IsCurrent(const Candidate& candidate) const {
    const size_t left = symbols_[candidate.left].bytes;
    const size_t right = symbols_[candidate.right].bytes;
    return left > 0 && right > 0 && left + right == candidate.bytes;
  }

  void Join(const Candidate& pair) {
    Symbol& left = symbols_[pair.left];
    Symbol& right = symbols_[pair.right];
    left.bytes += right.bytes;
    left.next = right.next;
    right.bytes = 0;
    if (left.next >= 0) symbols_[left.next].previous = pair.left;
    Propose(left.previous);
    Propose(pair.left);
  }

  const SentencePiece& pieces_;
  absl::string_view text_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
};

SentencePiece::SentencePiece(const Vocabulary& vocabulary)
    : vocabulary_(vocabulary), plain_(PlainTokens(vocabulary)) {
  for (const auto& [text, token] : plain_) {
    longest_ = std::max(longest_, text.size());
  }
  byte_tokens_.fill(-1);
  absl::flat_hash_map<std::string, int> names;
  for (int byte = 0; byte < 256; ++byte) {
    names[absl::StrFormat("<0x%02X>", byte)] = byte;
  }
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const auto byte = names.find(vocabulary.tokens[i]);
    if (byte != names.end() &&
        TypeOf(vocabulary, static_cast<int>(i)) == TokenType::kByte) {
      byte_tokens_[byte->second] = static_cast<int>(i);
    }
  }
}

absl::Status SentencePiece::Check() const {
  for (int byte = 0; byte < 256; ++byte) {
    if (byte_tokens_[byte] < 0 && vocabulary_.unknown < 0) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "vocabulary: there must be a byte token <0x%02X> or an unknown token",
          byte));
    }
  }
  return absl::OkStatus();
}

int SentencePiece::Find(absl::string_view text) const {
  // Without this bound a long text would be hashed again and again as it is
  // merged.
  if (text.size() > longest_) return -1;
  const auto found = plain_.find(text);
  return found == plain_.end() ? -1 : found->second;
}

void SentencePiece::AppendUnknown(absl::string_view character, bool in_run,
                                  std::vector<int>* ids) const {
  const bool bytes = std::all_of(
      character.begin(), character.end(),
      [this](unsigned char byte) { return byte_tokens_[byte] >= 0; });
  if (bytes) {
    for (unsigned char byte : character) ids->push_back(byte_tokens_[byte]);
  } else if (!in_run) {
    ids->push_back(vocabulary_.unknown);
  }
}

absl::Status SentencePiece::Encode(absl::string_view text,
                                   std::vector<int>* ids) const {
  const std::string spaced = absl::StrReplaceAll(
      absl::StrCat(vocabulary_.add_space_prefix ? " " : "", text),
      {{" ", kSpace}});
  ScoreMerger(*this, spaced).Run(ids);
  return absl::OkStatus();
}

std::string SentencePiece::Decode(int token) const {
  const std::string& text = vocabulary_.tokens[token];
  if (TypeOf(vocabulary_, token) != TokenType::kByte) {
    return absl::StrReplaceAll(text, {{kSpace, " "}});
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (byte_tokens_[byte] == token) return std::string(1, byte);
  }
  return "";  // called a byte by the file, but named otherwise
}

}  // namespace

absl::StatusOr<std::unique_ptr<SubwordEncoder>> MakeSentencePiece(
    const Vocabulary& vocabulary) {
  if (vocabulary.scores.size() != vocabulary.tokens.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "vocabulary: ", vocabulary.scores.size(), " scores for ",
        vocabulary.tokens.size(), " tokens; a llama vocabulary has one each"));
  }
  for (size_t i = 0; i < vocabulary.scores.size(); ++i) {
    if (!std::isfinite(vocabulary.scores[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("vocabulary: score ", vocabulary.scores[i], " of token ",
                       i, " is not a finite number"));
    }
  }
  auto encoder = std::make_unique<SentencePiece>(vocabulary);
  if (absl::Status status = encoder->Check(); !status.ok()) return status;
  return encoder;
}

}  // namespace subgen
