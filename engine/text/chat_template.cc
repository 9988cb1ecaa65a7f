#include "engine/text/chat_template.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "engine/text/chat_families.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

using Role = ChatMessage::Role;
using SystemPlace = ChatFormat::SystemPlace;

bool HasPieces(const ChatConfig& config) {
  for (const std::string* piece :
       {&config.begin, &config.system_prefix, &config.system_suffix,
        &config.user_prefix, &config.user_suffix, &config.assistant_prefix,
        &config.assistant_suffix}) {
    if (!piece->empty()) return true;
  }
  return false;
}

absl::StatusOr<ChatFormat> ChooseFormat(const ChatConfig& config,
                                        absl::string_view jinja) {
  const bool by_name =
      !config.template_name.empty() && config.template_name != "auto";
  if (HasPieces(config)) {
    if (by_name) {
      return absl::InvalidArgumentError(
          "chat.template_name and prefixes such as chat.user_prefix are both "
          "given; only one of them can be");
    }
    ChatFormat format;
    format.name = "custom";
    format.pieces = config;
    format.trim_assistant = false;
    return format;
  }
  // What the user names or spells out goes before what the file looks like.
  if (by_name) return FamilyFormat(config.template_name, jinja);
  const std::string family = RecognizeFamily(jinja);
  if (!family.empty()) return FamilyFormat(family, jinja);
  return absl::InvalidArgumentError(
      absl::StrCat("the model file has ",
                   jinja.empty() ? "no chat template"
                                 : "an unknown chat "
                                   "template",
                   "; set chat.template_name (chatml, llama2, llama3, mistral, "
                   "vicuna) or chat.user_prefix, chat.user_suffix, "
                   "chat.assistant_prefix and so on, or use --raw"));
}

// This renders one conversation.
class Renderer {
 public:
  explicit Renderer(const ChatFormat& format) : format_(format) {}

  std::vector<PromptPiece> Run(const std::vector<ChatMessage>& messages);

 private:
  void Add(absl::string_view text, bool special) {
    if (!text.empty()) pieces_.push_back({std::string(text), special});
  }
  void AddText(absl::string_view text, bool trim) {
    // Text of a message is never special: a control token in it would be a
    // command of whoever typed it.
    Add(trim ? absl::StripAsciiWhitespace(text) : text, false);
  }
  void AddSystem(absl::string_view text) {
    Add(format_.pieces.system_prefix, true);
    AddText(text, format_.trim);
    Add(format_.pieces.system_suffix, true);
  }
  void AddUser(absl::string_view system, absl::string_view text) {
    Add(format_.pieces.user_prefix, true);
    if (!system.empty()) AddSystem(system);
    AddText(text, format_.trim);
    Add(format_.pieces.user_suffix, true);
  }
  void AddAssistant(absl::string_view text) {
    Add(format_.pieces.assistant_prefix, true);
    AddText(text, format_.trim_assistant);
    Add(format_.pieces.assistant_suffix, true);
  }

  const ChatFormat& format_;
  std::vector<PromptPiece> pieces_;
};

// Returns the index of the user message that carries the system message, or -1.
int SystemCarrier(const std::vector<ChatMessage>& messages, SystemPlace place) {
  int carrier = -1;
  if (place == SystemPlace::kOwnBlock) return carrier;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != Role::kUser) continue;
    if (carrier < 0 || place == SystemPlace::kLastUser) {
      carrier = static_cast<int>(i);
    }
  }
  return carrier;
}

std::vector<PromptPiece> Renderer::Run(
    const std::vector<ChatMessage>& messages) {
  Add(format_.pieces.begin, true);
  const bool own_block = format_.system_place == SystemPlace::kOwnBlock;
  const bool given = !messages.empty() && messages[0].role == Role::kSystem;
  std::string system = given ? "" : format_.pieces.system;
  if (!given && own_block && (!system.empty() || format_.system_always)) {
    AddSystem(system);
  }
  for (const ChatMessage& message : messages) {
    if (message.role == Role::kSystem) system = message.text;
  }
  const int carrier = SystemCarrier(messages, format_.system_place);
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string& text = messages[i].text;
    switch (messages[i].role) {
      case Role::kSystem:
        if (own_block) AddSystem(text);
        break;
      case Role::kUser:
        AddUser(static_cast<int>(i) == carrier ? system : "", text);
        break;
      case Role::kAssistant:
        AddAssistant(text);
        break;
    }
  }
  // The blank between prefix and answer is the first token's own, as
  // vocabularies write a word with the blank before it.
  absl::string_view prefix = format_.pieces.assistant_prefix;
  while (absl::ConsumeSuffix(&prefix, " ")) {
  }
  Add(prefix, true);
  return std::move(pieces_);
}

}  // namespace

absl::StatusOr<ChatTemplate> ChatTemplate::Make(const ChatConfig& config,
                                                absl::string_view jinja) {
  ASSIGN_OR_RETURN(ChatFormat format, ChooseFormat(config, jinja));
  if (!config.system.empty()) format.pieces.system = config.system;
  return ChatTemplate(std::move(format));
}

std::vector<PromptPiece> ChatTemplate::Render(
    const std::vector<ChatMessage>& messages) const {
  return Renderer(format_).Run(messages);
}

}  // namespace subgen
