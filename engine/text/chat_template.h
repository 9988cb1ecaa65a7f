// Chat templates are prefixes and suffixes here. The Jinja text of a model file
// is only recognized, never run.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/config/engine_config.h"
#include "engine/text/tokenizer.h"

namespace subgen {

struct ChatMessage {
  enum class Role { kSystem, kUser, kAssistant };
  Role role = Role::kUser;
  std::string text;
};

// A format is how one family writes a conversation.
struct ChatFormat {
  enum class SystemPlace { kOwnBlock, kFirstUser, kLastUser };

  std::string name;
  ChatConfig pieces;  // `system` is the default system message
  SystemPlace system_place = SystemPlace::kOwnBlock;
  bool system_always = false;  // a block even for an empty system message
  bool trim = false;           // white space around what users say
  bool trim_assistant = true;
};

class ChatTemplate {
 public:
  // Makes a template by the prefixes and suffixes of `config` (then its name is
  // custom), else by its template_name, else by what is recognized in `jinja`;
  // config.system replaces the template's own system message.
  // InvalidArgumentError is returned for no known family, or for both a name
  // and prefixes. The families are chatml, llama2, llama3, mistral and vicuna.
  static absl::StatusOr<ChatTemplate> Make(const ChatConfig& config,
                                           absl::string_view jinja);

  const std::string& name() const { return format_.name; }
  // Returns the system message of a conversation that gives none; it may be
  // empty.
  const std::string& default_system() const { return format_.pieces.system; }
  // Renders the whole conversation, ending where the assistant begins to
  // answer. BOS is in it where the family writes one; text of messages is never
  // special.
  std::vector<PromptPiece> Render(
      const std::vector<ChatMessage>& messages) const;

 private:
  explicit ChatTemplate(ChatFormat format) : format_(std::move(format)) {}

  ChatFormat format_;
};

}  // namespace subgen
