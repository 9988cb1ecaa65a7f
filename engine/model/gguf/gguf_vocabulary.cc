#include "engine/model/gguf/gguf_vocabulary.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

std::string Key(absl::string_view name) {
  return absl::StrCat("tokenizer.ggml.", name);
}

absl::Status ReadText(const GgufFile& file, const std::string& key,
                      std::string* text) {
  if (!file.Has(key)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const absl::string_view value, file.String(key));
  *text = std::string(value);
  return absl::OkStatus();
}

absl::Status ReadFlag(const GgufFile& file, absl::string_view name,
                      bool* flag) {
  if (!file.Has(Key(name))) return absl::OkStatus();
  ASSIGN_OR_RETURN(*flag, file.Bool(Key(name)));
  return absl::OkStatus();
}

// A default that this vocabulary has no token for becomes -1.
absl::Status ReadId(const GgufFile& file, absl::string_view name, int count,
                    int* id) {
  if (!file.Has(Key(name))) {
    if (*id >= count) *id = -1;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const int64_t value, file.Integer(Key(name)));
  if (value < 0 || value >= count) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": ", Key(name), " is ", value,
                     ", but there are ", count, " tokens"));
  }
  *id = static_cast<int>(value);
  return absl::OkStatus();
}

absl::Status ReadKind(const GgufFile& file, Vocabulary* vocabulary) {
  RETURN_IF_ERROR(ReadText(file, Key("model"), &vocabulary->model));
  RETURN_IF_ERROR(ReadText(file, Key("pre"), &vocabulary->pre));
  const absl::Status kind =
      CheckTokenizerKind(vocabulary->model, vocabulary->pre);
  if (kind.ok()) return kind;
  return absl::InvalidArgumentError(
      absl::StrCat(file.path(), ": tokenizer.ggml: ", kind.message()));
}

absl::Status ReadTokens(const GgufFile& file, Vocabulary* vocabulary) {
  ASSIGN_OR_RETURN(const auto* tokens, file.Strings(Key("tokens")));
  for (absl::string_view token : *tokens) {
    vocabulary->tokens.emplace_back(token);
  }
  if (file.Has(Key("token_type"))) {
    ASSIGN_OR_RETURN(const auto* types, file.Integers(Key("token_type")));
    for (int64_t type : *types) {
      // MakeTokenizer refuses 0 as it would any other illegal type.
      vocabulary->types.push_back(type < 0 || type > 6 ? 0 : type);
    }
  }
  return absl::OkStatus();
}

absl::Status ReadMerging(const GgufFile& file, Vocabulary* vocabulary) {
  if (vocabulary->model == "gpt2") {
    ASSIGN_OR_RETURN(const auto* merges, file.Strings(Key("merges")));
    for (absl::string_view merge : *merges) {
      vocabulary->merges.emplace_back(merge);
    }
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const auto* scores, file.Numbers(Key("scores")));
  vocabulary->scores.assign(scores->begin(), scores->end());
  return absl::OkStatus();
}

absl::Status ReadIds(const GgufFile& file, Vocabulary* vocabulary) {
  const int count = static_cast<int>(vocabulary->tokens.size());
  const auto read = [&](absl::string_view name, int* id) {
    return ReadId(file, name, count, id);
  };
  RETURN_IF_ERROR(read("bos_token_id", &vocabulary->bos));
  RETURN_IF_ERROR(read("eos_token_id", &vocabulary->eos));
  RETURN_IF_ERROR(read("eot_token_id", &vocabulary->end_of_turn));
  return read("unknown_token_id", &vocabulary->unknown);
}

}  // namespace

absl::StatusOr<Vocabulary> ReadGgufVocabulary(const GgufFile& file) {
  Vocabulary vocabulary;
  RETURN_IF_ERROR(ReadKind(file, &vocabulary));
  if (vocabulary.model == "llama") {
    vocabulary.bos = 1;
    vocabulary.eos = 2;
    vocabulary.unknown = 0;
    vocabulary.add_bos = true;
  }
  if (vocabulary.pre == "llama-bpe") vocabulary.add_bos = true;
  RETURN_IF_ERROR(ReadTokens(file, &vocabulary));
  RETURN_IF_ERROR(ReadMerging(file, &vocabulary));
  RETURN_IF_ERROR(ReadIds(file, &vocabulary));
  RETURN_IF_ERROR(ReadFlag(file, "add_bos_token", &vocabulary.add_bos));
  RETURN_IF_ERROR(ReadFlag(file, "add_eos_token", &vocabulary.add_eos));
  RETURN_IF_ERROR(
      ReadFlag(file, "add_space_prefix", &vocabulary.add_space_prefix));
  RETURN_IF_ERROR(
      ReadText(file, "tokenizer.chat_template", &vocabulary.chat_template));
  return vocabulary;
}

}  // namespace subgen
