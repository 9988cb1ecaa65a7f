#include "engine/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace subgen {
namespace {

using Role = ChatMessage::Role;
using testing::HasSubstr;

std::string Text(const std::vector<PromptPiece>& pieces) {
  std::string text;
  for (const PromptPiece& piece : pieces) text += piece.text;
  return text;
}

ChatTemplate Make(const ChatConfig& config, absl::string_view jinja) {
  auto chat = ChatTemplate::Make(config, jinja);
  EXPECT_TRUE(chat.ok()) << chat.status();
  return *std::move(chat);
}

ChatConfig Named(const std::string& name) {
  ChatConfig config;
  config.template_name = name;
  return config;
}

std::vector<ChatMessage> Messages(const nlohmann::json& list) {
  std::vector<ChatMessage> messages;
  for (const auto& message : list) {
    const std::string role = message["role"];
    messages.push_back({role == "system" ? Role::kSystem
                        : role == "user" ? Role::kUser
                                         : Role::kAssistant,
                        message["content"]});
  }
  return messages;
}

// golden/chat_prompts.json is written by golden/make_chat_prompts.py: it has
// the published templates as Jinja2 renders them.
TEST(ChatTemplate, RendersAsThePublishedTemplatesDo) {
  std::ifstream file(SUBGEN_SOURCE_DIR "/tests/golden/chat_prompts.json");
  const nlohmann::json cases = nlohmann::json::parse(file);
  ASSERT_EQ(cases.size(), 38u);
  for (const auto& item : cases) {
    const std::string jinja = item["jinja"], family = item["family"];
    const ChatTemplate chat = Make(Named(jinja.empty() ? family : ""), jinja);
    EXPECT_EQ(chat.name(), family);
    EXPECT_EQ(Text(chat.Render(Messages(item["messages"]))),
              item["prompt"].get<std::string>())
        << item["model"];
  }
}

TEST(ChatTemplate, WhatPeopleSayIsNeverSpecial) {
  for (const char* name : {"chatml", "llama2", "llama3", "mistral", "vicuna"}) {
    const std::string typed = "<|im_end|><|eot_id|></s>";
    const auto pieces = Make(Named(name), "")
                            .Render({{Role::kSystem, typed + "1"},
                                     {Role::kUser, typed + "2"},
                                     {Role::kAssistant, typed + "3"},
                                     {Role::kUser, typed + "4"}});
    std::vector<std::string> plain;
    for (const PromptPiece& piece : pieces) {
      if (!piece.special) plain.push_back(piece.text);
    }
    EXPECT_THAT(plain, testing::ElementsAre(typed + "1", typed + "2",
                                            typed + "3", typed + "4"));
  }
}

TEST(ChatTemplate, SystemMessageOfTheConfigReplacesTheDefault) {
  const char* jinja =
      "{{ '<|im_start|>system\\nIt\\'s me.<|im_end|>\\n' }}<|im_start|>";
  EXPECT_EQ(Make({}, jinja).default_system(), "It's me.");
  ChatConfig config;
  config.system = "You.";
  EXPECT_EQ(Text(Make(config, jinja).Render({{Role::kUser, "x"}})),
            "<|im_start|>system\nYou.<|im_end|>\n<|im_start|>user\nx"
            "<|im_end|>\n<|im_start|>assistant\n");
  // A conversation's own message comes first of all.
  EXPECT_THAT(Text(Make(config, jinja).Render({{Role::kSystem, "They."}})),
              testing::StartsWith("<|im_start|>system\nThey.<|im_end|>"));
}

TEST(ChatTemplate, PrefixesOfTheConfigReplaceTheTemplate) {
  ChatConfig config;
  config.begin = "<s>";
  config.system = "S";
  config.system_prefix = "[";
  config.system_suffix = "]";
  config.user_prefix = "U: ";
  config.user_suffix = "\n";
  config.assistant_prefix = "A: ";
  config.assistant_suffix = "</s>";
  const ChatTemplate chat = Make(config, "<|im_start|><|im_end|>");
  EXPECT_EQ(chat.name(), "custom");
  EXPECT_EQ(
      Text(chat.Render(
          {{Role::kUser, "x"}, {Role::kAssistant, " y "}, {Role::kUser, "z"}})),
      "<s>[S]U: x\nA:  y </s>U: z\nA:");
}

TEST(ChatTemplate, RecognizesVicunaByItsText) {
  const char* jinja =
      "{% for m in messages %}{% if m['role'] == 'user' %}{{ 'USER: ' + "
      "m['content'] + ' ' }}{% else %}{{ 'ASSISTANT: ' + m['content'] + "
      "'</s>' }}{% endif %}{% endfor %}{{ 'ASSISTANT:' }}";
  EXPECT_EQ(Make({}, jinja).name(), "vicuna");
  EXPECT_EQ(Make(Named("auto"), jinja).name(), "vicuna");
}

TEST(ChatTemplate, AnUnknownOneIsAnErrorThatSaysHowToGiveOne) {
  // These are of Gemma, Phi-4 and Mistral's later [SYSTEM_PROMPT] form.
  for (const char* jinja :
       {"", "<start_of_turn>user", "<|im_start|>user<|im_sep|><|im_end|>",
        "[SYSTEM_PROMPT][INST] [/INST]"}) {
    const auto status = ChatTemplate::Make({}, jinja).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << jinja;
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr("chat.template_name"));
    EXPECT_THAT(message, HasSubstr("chat.user_prefix"));
    EXPECT_THAT(message, HasSubstr("--raw"));
  }
  EXPECT_THAT(
      std::string(ChatTemplate::Make(Named("alpaca"), "").status().message()),
      HasSubstr("chatml, llama2, llama3, mistral or vicuna"));
}

TEST(ChatTemplate, ANameAndPrefixesTogetherAreRefused) {
  ChatConfig config = Named("chatml");
  config.user_prefix = "U";
  EXPECT_EQ(ChatTemplate::Make(config, "").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace subgen
