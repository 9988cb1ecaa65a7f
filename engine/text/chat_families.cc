#include "engine/text/chat_families.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "kernels/base/quoted.h"

namespace subgen {
namespace {

using SystemPlace = ChatFormat::SystemPlace;

bool Has(absl::string_view jinja, absl::string_view text) {
  return absl::StrContains(jinja, text);
}

// Tells whether the text has the string literal, in either kind of quotes.
bool HasLiteral(absl::string_view jinja, absl::string_view text) {
  return Has(jinja, absl::StrCat("'", text, "'")) ||
         Has(jinja, absl::StrCat("\"", text, "\""));
}

// Returns the value of the string literal whose opening quote is text[0], as
// far as it goes; *end is where it ends.
std::string ReadLiteral(absl::string_view text, size_t* end) {
  const char quote = text[0];
  std::string value;
  size_t& i = *end;
  for (i = 1; i < text.size() && text[i] != quote; ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      value.push_back(text[i]);
      continue;
    }
    ++i;
    value.push_back(text[i] == 'n' ? '\n' : text[i] == 't' ? '\t' : text[i]);
  }
  return value;
}

// Returns the system message that a ChatML template writes where the
// conversation has none: the text of a <|im_start|>system block within one
// literal.
std::string ChatMlDefaultSystem(absl::string_view jinja) {
  constexpr absl::string_view kBegin = "<|im_start|>system";
  size_t length = 1;
  for (size_t at = jinja.find(kBegin); at != jinja.npos;
       at = jinja.find(kBegin, at + length)) {
    length = 1;
    if (at == 0 || (jinja[at - 1] != '\'' && jinja[at - 1] != '"')) continue;
    const std::string literal = ReadLiteral(jinja.substr(at - 1), &length);
    absl::string_view block = literal;
    block.remove_prefix(kBegin.size());
    const size_t end = block.find("<|im_end|>");
    if (end == block.npos || !absl::ConsumePrefix(&block, "\n")) continue;
    return std::string(block.substr(0, end - 1));
  }
  return "";
}

// This is OpenAI's chat markup, as SmolLM2 and Qwen publish it.
ChatFormat ChatMl(absl::string_view jinja) {
  ChatFormat format;
  ChatConfig& pieces = format.pieces;
  pieces.system = ChatMlDefaultSystem(jinja);
  pieces.system_prefix = "<|im_start|>system\n";
  pieces.system_suffix = "<|im_end|>\n";
  pieces.user_prefix = "<|im_start|>user\n";
  pieces.user_suffix = "<|im_end|>\n";
  pieces.assistant_prefix = "<|im_start|>assistant\n";
  pieces.assistant_suffix = "<|im_end|>\n";
  format.trim_assistant = false;
  return format;
}

// This is the format of meta-llama/Llama-2-7b-chat-hf.
ChatFormat Llama2(absl::string_view /*jinja*/) {
  ChatFormat format;
  ChatConfig& pieces = format.pieces;
  pieces.system_prefix = "<<SYS>>\n";
  pieces.system_suffix = "\n<</SYS>>\n\n";
  pieces.user_prefix = "<s>[INST] ";
  pieces.user_suffix = " [/INST]";
  pieces.assistant_prefix = " ";
  pieces.assistant_suffix = " </s>";
  format.system_place = SystemPlace::kFirstUser;
  format.trim = true;
  return format;
}

// This is the format of meta-llama/Meta-Llama-3-8B-Instruct; from 3.1 on every
// conversation begins with a system block that holds two dates.
ChatFormat Llama3(absl::string_view jinja) {
  const auto header = [](absl::string_view role) {
    return absl::StrCat("<|start_header_id|>", role, "<|end_header_id|>\n\n");
  };
  ChatFormat format;
  ChatConfig& pieces = format.pieces;
  pieces.begin = "<|begin_of_text|>";
  pieces.system_prefix = header("system");
  pieces.system_suffix = "<|eot_id|>";
  pieces.user_prefix = header("user");
  pieces.user_suffix = "<|eot_id|>";
  pieces.assistant_prefix = header("assistant");
  pieces.assistant_suffix = "<|eot_id|>";
  format.trim = true;
  if (Has(jinja, "Cutting Knowledge Date: December 2023") &&
      Has(jinja, "26 Jul 2024")) {
    format.system_always = true;
    absl::StrAppend(&pieces.system_prefix,
                    "Cutting Knowledge Date: December 2023\n"
                    "Today Date: 26 Jul 2024\n\n");
  }
  return format;
}

// This is the format of mistralai/Mistral-7B-Instruct v0.1 to v0.3, which
// differ in blanks and in which user message carries the system message.
ChatFormat Mistral(absl::string_view jinja) {
  const bool outer_space = HasLiteral(jinja, " [INST] ");
  const bool no_inner_space = HasLiteral(jinja, "[/INST]");
  const bool answer_space =
      Has(jinja, "' ' + message") || Has(jinja, "\" \" + message");
  const bool end_space =
      Has(jinja, "eos_token + ' '") || Has(jinja, "eos_token + \" \"");
  ChatFormat format;
  ChatConfig& pieces = format.pieces;
  pieces.begin = "<s>";
  pieces.system_suffix = "\n\n";
  pieces.user_prefix = outer_space ? " [INST] " : "[INST] ";
  pieces.user_suffix = no_inner_space ? "[/INST]" : " [/INST]";
  pieces.assistant_prefix = answer_space ? " " : "";
  pieces.assistant_suffix = end_space ? "</s> " : "</s>";
  format.system_place = Has(jinja, "loop.last and system_message")
                            ? SystemPlace::kLastUser
                            : SystemPlace::kFirstUser;
  return format;
}

// This is the format of Vicuna v1.1 and later, and of LongChat (FastChat's
// conversation vicuna_v1.1).
ChatFormat Vicuna(absl::string_view /*jinja*/) {
  ChatFormat format;
  ChatConfig& pieces = format.pieces;
  pieces.system =
      "A chat between a curious user and an artificial intelligence "
      "assistant. The assistant gives helpful, detailed, and polite "
      "answers to the user's questions.";
  pieces.begin = "<s>";
  pieces.system_suffix = " ";
  pieces.user_prefix = "USER: ";
  pieces.user_suffix = " ";
  pieces.assistant_prefix = "ASSISTANT: ";
  pieces.assistant_suffix = "</s>";
  return format;
}

struct Family {
  absl::string_view name;
  ChatFormat (*format)(absl::string_view jinja);
};

constexpr Family kFamilies[] = {{"chatml", ChatMl},
                                {"llama2", Llama2},
                                {"llama3", Llama3},
                                {"mistral", Mistral},
                                {"vicuna", Vicuna}};

}  // namespace

std::string RecognizeFamily(absl::string_view jinja) {
  // Phi-4 has <|im_start|> and another format.
  if (Has(jinja, "<|im_start|>") && Has(jinja, "<|im_end|>") &&
      !Has(jinja, "<|im_sep|>")) {
    return "chatml";
  }
  if (Has(jinja, "<|start_header_id|>") && Has(jinja, "<|eot_id|>")) {
    return "llama3";
  }
  if (Has(jinja, "[INST]") && Has(jinja, "[/INST]") &&
      !Has(jinja, "[SYSTEM_PROMPT]")) {
    // Both write [INST]; only Llama 2 marks the system message.
    return Has(jinja, "<<SYS>>") ? "llama2" : "mistral";
  }
  if (Has(jinja, "USER: ") && Has(jinja, "ASSISTANT:")) return "vicuna";
  return "";
}

absl::StatusOr<ChatFormat> FamilyFormat(absl::string_view name,
                                        absl::string_view jinja) {
  // A user may name another family than the file's, whose text then says
  // nothing about the versions of the named one.
  const bool same = RecognizeFamily(jinja) == name;
  for (const Family& family : kFamilies) {
    if (family.name != name) continue;
    ChatFormat format = family.format(same ? jinja : "");
    format.name = std::string(name);
    return format;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("chat.template_name ", Quoted(name),
                   " must be auto, chatml, llama2, llama3, mistral or "
                   "vicuna"));
}

}  // namespace subgen
