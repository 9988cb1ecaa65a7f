#include "engine/text/tokenizer.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/special_tokens.h"
#include "engine/text/subword.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"

namespace subgen {
namespace {

constexpr size_t kMaxTokenBytes = 65536;

constexpr absl::string_view kEndings[] = {
    "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>",
    "</s>",       "<|end|>",    "<end_of_turn>"};

bool IsByteName(absl::string_view text) {
  return text.size() == 6 && text.substr(0, 3) == "<0x" && text[5] == '>' &&
         absl::ascii_isxdigit(text[3]) && absl::ascii_isxdigit(text[4]);
}

absl::Status CheckId(const Vocabulary& vocabulary, absl::string_view name,
                     int id) {
  const int count = static_cast<int>(vocabulary.tokens.size());
  if (id >= -1 && id < count) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("vocabulary: ", name, " token ", id, " must be in 0 to ",
                   count - 1, ", or -1 for none"));
}

absl::Status CheckTypes(const Vocabulary& vocabulary) {
  const std::vector<int>& types = vocabulary.types;
  if (!types.empty() && types.size() != vocabulary.tokens.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("vocabulary: ", types.size(), " token types for ",
                     vocabulary.tokens.size(), " tokens"));
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 1 || types[i] > 6) {
      return absl::InvalidArgumentError(absl::StrCat(
          "vocabulary: type ", types[i], " of token ", i, " must be 1 to 6"));
    }
  }
  return absl::OkStatus();
}

// An empty token can never be meant by a text, so files may repeat it.
absl::Status CheckTokens(const Vocabulary& vocabulary) {
  absl::flat_hash_map<absl::string_view, size_t> seen;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const absl::string_view text = vocabulary.tokens[i];
    if (text.empty()) continue;
    if (text.size() > kMaxTokenBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("vocabulary: token ", i, " has ", text.size(),
                       " bytes; at most ", kMaxTokenBytes, " are taken"));
    }
    const auto [first, added] = seen.emplace(text, i);
    if (!added) {
      return absl::InvalidArgumentError(
          absl::StrCat("vocabulary: tokens ", first->second, " and ", i,
                       " are both ", Quoted(text)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckVocabulary(const Vocabulary& vocabulary) {
  const size_t count = vocabulary.tokens.size();
  if (count == 0 || count > size_t{1} << 24) {
    return absl::InvalidArgumentError(absl::StrCat(
        "vocabulary: ", count, " tokens; there must be 1 to 16777216"));
  }
  RETURN_IF_ERROR(CheckTypes(vocabulary));
  RETURN_IF_ERROR(CheckTokens(vocabulary));
  RETURN_IF_ERROR(CheckId(vocabulary, "BOS", vocabulary.bos));
  RETURN_IF_ERROR(CheckId(vocabulary, "EOS", vocabulary.eos));
  RETURN_IF_ERROR(CheckId(vocabulary, "end-of-turn", vocabulary.end_of_turn));
  RETURN_IF_ERROR(CheckId(vocabulary, "unknown", vocabulary.unknown));
  if ((vocabulary.add_bos && vocabulary.bos < 0) ||
      (vocabulary.add_eos && vocabulary.eos < 0)) {
    return absl::InvalidArgumentError(
        "vocabulary: a BOS or EOS token is to be added, but there is none");
  }
  return absl::OkStatus();
}

class VocabularyTokenizer final : public Tokenizer {
 public:
  // The vocabulary must have been checked.
  explicit VocabularyTokenizer(Vocabulary vocabulary);
  absl::Status Build();

  absl::StatusOr<std::vector<int>> EncodePrompt(
      const std::vector<PromptPiece>& pieces) const override;
  std::string Decode(int token, bool special) const override;
  int size() const override {
    return static_cast<int>(vocabulary_.tokens.size());
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  bool EndsGeneration(int token) const override {
    return endings_.contains(token);
  }

 private:
  const Vocabulary vocabulary_;
  const SpecialTokens special_tokens_;
  std::unique_ptr<SubwordEncoder> encoder_;
  absl::flat_hash_set<int> endings_;
};

VocabularyTokenizer::VocabularyTokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), special_tokens_(vocabulary_) {
  for (int id : {vocabulary_.eos, vocabulary_.end_of_turn}) {
    if (id >= 0) endings_.insert(id);
  }
  const absl::flat_hash_set<absl::string_view> names(std::begin(kEndings),
                                                     std::end(kEndings));
  for (int id = 0; id < size(); ++id) {
    // Models may end an answer with other tokens of their family than those
    // that the file names. Only control tokens count, as anybody may type the
    // name of one.
    if (TypeOf(vocabulary_, id) == TokenType::kControl &&
        names.contains(vocabulary_.tokens[id])) {
      endings_.insert(id);
    }
  }
}

absl::Status VocabularyTokenizer::Build() {
  ASSIGN_OR_RETURN(encoder_, vocabulary_.model == "gpt2"
                                 ? MakeByteBpe(vocabulary_)
                                 : MakeSentencePiece(vocabulary_));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int>> VocabularyTokenizer::EncodePrompt(
    const std::vector<PromptPiece>& pieces) const {
  std::string text;
  std::vector<bool> control_allowed;
  for (const PromptPiece& piece : pieces) {
    text += piece.text;
    // Pieces become one text, as words may span them; each byte remembers
    // whether it came from a template.
    control_allowed.resize(text.size(), piece.special);
  }
  // The text is checked before anything is encoded, so that encoders need not
  // expect bytes that are not UTF-8.
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the text has ", text.size(), " bytes; at most ",
                     kMaxTextBytes, " are taken"));
  }
  if (const size_t valid = ValidUtf8Prefix(text); valid < text.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the text is not UTF-8 at byte ", valid, " of ", text.size()));
  }
  std::vector<int> ids;
  const absl::string_view view = text;
  size_t done = 0;
  const auto encode_until = [&](size_t end) {
    if (end == done) return absl::OkStatus();
    return encoder_->Encode(view.substr(done, end - done), &ids);
  };
  for (const auto& match : special_tokens_.Find(text, control_allowed)) {
    RETURN_IF_ERROR(encode_until(match.begin));
    ids.push_back(match.token);
    done = match.end;
  }
  RETURN_IF_ERROR(encode_until(view.size()));
  return ids;
}

std::string VocabularyTokenizer::Decode(int token, bool special) const {
  if (token < 0 || token >= size()) return "";
  switch (TypeOf(vocabulary_, token)) {
    case TokenType::kUnknown:
    case TokenType::kControl:
      return special ? vocabulary_.tokens[token] : "";
    case TokenType::kUserDefined:
      return vocabulary_.tokens[token];
    case TokenType::kUnused:
      return "";
    case TokenType::kNormal:
    case TokenType::kByte:
      break;
  }
  return encoder_->Decode(token);
}

}  // namespace

TokenType TypeOf(const Vocabulary& vocabulary, int token) {
  if (!vocabulary.types.empty()) {
    return static_cast<TokenType>(vocabulary.types[token]);
  }
  return vocabulary.model == "llama" && IsByteName(vocabulary.tokens[token])
             ? TokenType::kByte
             : TokenType::kNormal;
}

absl::flat_hash_map<absl::string_view, int> PlainTokens(
    const Vocabulary& vocabulary) {
  absl::flat_hash_map<absl::string_view, int> plain;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const int id = static_cast<int>(i);
    const TokenType type = TypeOf(vocabulary, id);
    if (type != TokenType::kNormal && type != TokenType::kUserDefined) continue;
    if (!vocabulary.tokens[i].empty()) plain.emplace(vocabulary.tokens[i], id);
  }
  return plain;
}

absl::StatusOr<std::vector<int>> Tokenizer::Encode(absl::string_view text,
                                                   bool special) const {
  return EncodePrompt({{std::string(text), special}});
}

absl::Status CheckTokenizerKind(absl::string_view model,
                                absl::string_view pre) {
  if (model == "llama") return absl::OkStatus();
  if (model == "gpt2") return PreTokenizer::Make(pre).status();
  return absl::InvalidArgumentError(
      absl::StrCat("tokenizer model ", Quoted(model),
                   " is not supported; gpt2 and llama are"));
}

absl::StatusOr<std::unique_ptr<Tokenizer>> MakeTokenizer(
    Vocabulary vocabulary) {
  RETURN_IF_ERROR(CheckTokenizerKind(vocabulary.model, vocabulary.pre));
  RETURN_IF_ERROR(CheckVocabulary(vocabulary));
  auto tokenizer = std::make_unique<VocabularyTokenizer>(std::move(vocabulary));
  RETURN_IF_ERROR(tokenizer->Build());
  return tokenizer;
}

}  // namespace subgen
