// In byte-level BPE (Radford et al. 2019, section 2.2; Sennrich et al. 2016)
// each byte is written as one printable character, and inside a word the pair
// of neighbors with the lowest merge rank is joined until none is left.
#include <array>
#include <cstdint>
#include <queue>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/subword.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"

namespace subgen {
namespace {

// In GPT-2's byte alphabet printable Latin-1 stands for itself, the other 68
// bytes for U+0100 and up in order.
std::array<char32_t, 256> MakeByteAlphabet() {
  std::array<char32_t, 256> alphabet;
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    alphabet[byte] = printable ? static_cast<char32_t>(byte) : next++;
  }
  return alphabet;
}

struct Merge {
  int rank = 0;
  int token = 0;  // what the pair becomes
};

uint64_t PairKey(int left, int right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

using Merges = absl::flat_hash_map<uint64_t, Merge>;

// This merges the symbols of one word in O(n log n): candidates wait in a heap,
// and those that a merge has made stale are skipped when they come out of it.
class WordMerger {
 public:
  WordMerger(const Merges& merges, const std::vector<int>& tokens)
      : merges_(merges), symbols_(tokens.size()) {
    const int count = static_cast<int>(tokens.size());
    for (int i = 0; i < count; ++i) {
      symbols_[i] = {tokens[i], i - 1, i + 1 < count ? i + 1 : -1};
    }
    for (int i = 0; i + 1 < count; ++i) Propose(i);
  }

  // Appends the tokens of the merged word.
  void Run(std::vector<int>* ids) {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      if (IsCurrent(best)) Join(best);
    }
    for (int i = symbols_.empty() ? -1 : 0; i >= 0; i = symbols_[i].next) {
      if (symbols_[i].token >= 0) ids->push_back(symbols_[i].token);
    }
  }

 private:
  struct Symbol {
    int token = -1;  // -1: a byte without token, or merged away
    int previous = -1, next = -1;
  };
  struct Candidate {
    Merge merge;
    int left, right;              // symbols
    int left_token, right_token;  // what they were when it was proposed
    // The lowest rank comes first, then the leftmost.
    bool operator<(const Candidate& other) const {
      return merge.rank != other.merge.rank ? merge.rank > other.merge.rank
                                            : left > other.left;
    }
  };

  void Propose(int left) {
    const int right = left < 0 ? -1 : symbols_[left].next;
    if (right < 0) return;
    const int left_token = symbols_[left].token;
    const int right_token = symbols_[right].token;
    // A byte without token keeps its neighbors apart.
    if (left_token < 0 || right_token < 0) return;
    const auto found = merges_.find(PairKey(left_token, right_token));
    if (found == merges_.end()) return;
    queue_.push({found->second, left, right, left_token, right_token});
  }

  bool IsCurrent(const Candidate& candidate) const {
    return symbols_[candidate.left].token == candidate.left_token &&
           symbols_[candidate.right].token == candidate.right_token &&
           symbols_[candidate.left].next == candidate.right;
  }

  void Join(const Candidate& pair) {
    Symbol& left = symbols_[pair.left];
    Symbol& right = symbols_[pair.right];
    left.token = pair.merge.token;
    left.next = right.next;
    right.token = -1;
    if (left.next >= 0) symbols_[left.next].previous = pair.left;
    Propose(left.previous);
    Propose(pair.left);
  }

  const Merges& merges_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
};

class ByteBpe final : public SubwordEncoder {
 public:
  static absl::StatusOr<std::unique_ptr<SubwordEncoder>> Make(
      const Vocabulary& vocabulary);

  absl::Status Encode(absl::string_view text,
                      std::vector<int>* ids) const override;
  std::string Decode(int token) const override;

 private:
  ByteBpe(const Vocabulary& vocabulary, PreTokenizer pretokenizer);
  absl::Status ReadMerges();
  // Returns the one token of a whole word, or -1.
  int WholeWord(absl::string_view word) const;

  const Vocabulary& vocabulary_;
  PreTokenizer pretokenizer_;
  std::array<char32_t, 256> alphabet_ = MakeByteAlphabet();
  absl::flat_hash_map<char32_t, char> bytes_;  // of the alphabet
  absl::flat_hash_map<absl::string_view, int> plain_;
  std::array<int, 256> byte_tokens_;  // -1: the vocabulary has none
  Merges merges_;
};

ByteBpe::ByteBpe(const Vocabulary& vocabulary, PreTokenizer pretokenizer)
    : vocabulary_(vocabulary),
      pretokenizer_(std::move(pretokenizer)),
      plain_(PlainTokens(vocabulary)) {
  for (int byte = 0; byte < 256; ++byte) {
    bytes_[alphabet_[byte]] = static_cast<char>(byte);
    std::string character;
    AppendUtf8(alphabet_[byte], &character);
    const auto found = plain_.find(character);
    byte_tokens_[byte] = found == plain_.end() ? -1 : found->second;
  }
}

absl::StatusOr<std::unique_ptr<SubwordEncoder>> ByteBpe::Make(
    const Vocabulary& vocabulary) {
  ASSIGN_OR_RETURN(PreTokenizer pretokenizer,
                   PreTokenizer::Make(vocabulary.pre));
  std::unique_ptr<ByteBpe> result(
      new ByteBpe(vocabulary, std::move(pretokenizer)));
  RETURN_IF_ERROR(result->ReadMerges());
  return result;
}

absl::Status ByteBpe::ReadMerges() {
  absl::flat_hash_map<absl::string_view, int> all;
  for (size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
    all.emplace(vocabulary_.tokens[i], static_cast<int>(i));
  }
  for (size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
    const absl::string_view text = vocabulary_.merges[rank];
    // The first token may begin with a space itself.
    const size_t space = text.find(' ', 1);
    const bool pair = space != absl::string_view::npos;
    const std::string joined =
        pair ? absl::StrCat(text.substr(0, space), text.substr(space + 1)) : "";
    const auto left = pair ? all.find(text.substr(0, space)) : all.end();
    const auto right = pair ? all.find(text.substr(space + 1)) : all.end();
    const auto result = all.find(joined);
    if (left == all.end() || right == all.end() || result == all.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "vocabulary: merge ", rank, " ", Quoted(text),
          " must be two tokens with a space between whose union is a token"));
    }
    // Ordinary text never becomes a control token, whatever the merges of the
    // file say.
    if (!plain_.contains(joined)) continue;
    merges_.emplace(PairKey(left->second, right->second),
                    Merge{static_cast<int>(rank), result->second});
  }
  return absl::OkStatus();
}

int ByteBpe::WholeWord(absl::string_view word) const {
  std::string written;
  for (unsigned char byte : word) AppendUtf8(alphabet_[byte], &written);
  const auto found = plain_.find(written);
  return found == plain_.end() ? -1 : found->second;
}

absl::Status ByteBpe::Encode(absl::string_view text,
                             std::vector<int>* ids) const {
  ASSIGN_OR_RETURN(std::vector<absl::string_view> words,
                   pretokenizer_.Split(text));
  // Llama 3 takes a word that is a token as it is, whatever its merges.
  const bool whole_words = vocabulary_.pre == "llama-bpe";
  std::vector<int> tokens;
  for (absl::string_view word : words) {
    const int whole = whole_words ? WholeWord(word) : -1;
    if (whole >= 0) {
      ids->push_back(whole);
      continue;
    }
    tokens.clear();
    for (unsigned char byte : word) tokens.push_back(byte_tokens_[byte]);
    WordMerger(merges_, tokens).Run(ids);
  }
  return absl::OkStatus();
}

// A character that is not of the alphabet stands for itself.
std::string ByteBpe::Decode(int token) const {
  std::string bytes;
  absl::string_view rest = vocabulary_.tokens[token];
  while (!rest.empty()) {
    const Utf8Character first = FirstUtf8Character(rest);
    const absl::string_view character = rest.substr(0, first.bytes);
    rest.remove_prefix(first.bytes);
    const auto byte = first.kind == Utf8Character::Kind::kComplete
                          ? bytes_.find(DecodeUtf8(character))
                          : bytes_.end();
    if (byte != bytes_.end()) {
      bytes.push_back(byte->second);
    } else {
      bytes.append(character.data(), character.size());
    }
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SubwordEncoder>> MakeByteBpe(
    const Vocabulary& vocabulary) {
  return ByteBpe::Make(vocabulary);
}

}  // namespace subgen
