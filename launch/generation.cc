#include "launch/generation.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"
#include "launch/report.h"

namespace subgen {
namespace {

// Longer than any context by far, short enough for memory.
constexpr int64_t kMaxPromptBytes = int64_t{1} << 28;

absl::StatusOr<std::string> ReadPrompt(const GenerationOptions& options) {
  std::string prompt = options.prompt;
  if (options.prompt_file == "-") {
    prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else if (!options.prompt_file.empty()) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(options.prompt_file, error)) {
      return absl::InvalidArgumentError(
          absl::StrCat("prompt file ", options.prompt_file, ": no such file"));
    }
    std::ifstream file(options.prompt_file, std::ios::binary);
    if (!file) {
      return absl::InvalidArgumentError(absl::StrCat(
          "prompt file ", options.prompt_file, ": it cannot be read"));
    }
    prompt.assign(std::istreambuf_iterator<char>(file), {});
  }
  if (prompt.empty()) {
    return absl::InvalidArgumentError(
        "the prompt is empty: give text by --prompt or --prompt_file");
  }
  const size_t valid = ValidUtf8Prefix(prompt);
  if (valid < prompt.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prompt is not UTF-8 at byte ", valid, " of ", prompt.size()));
  }
  if (static_cast<int64_t>(prompt.size()) > kMaxPromptBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", prompt.size(), " bytes: at most ",
                     kMaxPromptBytes, " are legal"));
  }
  return prompt;
}

void PrintText(absl::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// One line on a terminal, rewritten; nothing in a file.
void PrintPrefill(int64_t done, int64_t total) {
  if (!isatty(STDERR_FILENO)) return;
  std::fprintf(stderr, "\rreading the prompt: %ld of %ld tokens",
               static_cast<long>(done), static_cast<long>(total));
  if (done == total) std::fprintf(stderr, "\r\x1b[K");
  std::fflush(stderr);
}

// Rank 0's side of a generation.
class Generator {
 public:
  Generator(const GenerationOptions& options, const Model& model)
      : options_(options), model_(model) {}

  // Reads and encodes the prompt; what is wrong with it shows here, before
  // memory is reserved.
  absl::Status Prepare() {
    ASSIGN_OR_RETURN(report_, ReportFile::Open(options_.report));
    if (!options_.raw) {
      ASSIGN_OR_RETURN(
          const ChatTemplate chat,
          ChatTemplate::Make(options_.config.chat,
                             model_.tokenizer->vocabulary().chat_template));
      chat_ = chat;
    }
    if (options_.chat) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string prompt, ReadPrompt(options_));
    ASSIGN_OR_RETURN(prompt_, Encode(prompt));
    const int64_t limit = ContextLimit(options_.config, model_.config);
    const int64_t length = prompt_.size();
    if (length >= limit) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the prompt has ", length, " tokens and the context ", limit,
          ": shorten it, or set context_tokens (and rope.scaling beyond the ",
          model_.config.context, " tokens that the model was trained for)"));
    }
    return absl::OkStatus();
  }

  // The longest sequence that this run can need.
  int64_t ContextTokens() const {
    const int64_t limit = ContextLimit(options_.config, model_.config);
    if (options_.chat || options_.config.context_tokens > 0) return limit;
    return std::min<int64_t>(limit,
                             prompt_.size() + options_.config.max_tokens);
  }

  absl::Status Run(Engine& engine) {
    ASSIGN_OR_RETURN(slot_, engine.scheduler().Open());
    return options_.chat ? Converse(engine) : Answer(engine);
  }

 private:
  absl::StatusOr<std::vector<int>> Encode(const std::string& prompt) {
    if (options_.raw) return EncodeRaw(*model_.tokenizer, prompt);
    messages_.push_back({ChatMessage::Role::kUser, prompt});
    return EncodeChat(*model_.tokenizer, *chat_, messages_);
  }

  absl::Status Answer(Engine& engine) {
    GenerationRequest request;
    request.prompt = prompt_;
    request.sampling = options_.config.sampling;
    request.max_tokens = options_.config.max_tokens;
    request.stop = options_.config.stop;
    request.logprobs = options_.logprobs;
    request.on_text = PrintText;
    request.on_prefill = PrintPrefill;
    auto result = engine.scheduler().Generate(slot_, std::move(request));
    PrintText("\n");
    RETURN_IF_ERROR(result.status());
    return Report(engine, *std::move(result));
  }

  absl::Status Report(Engine& engine, GenerationResult result) {
    messages_.push_back({ChatMessage::Role::kAssistant, result.text});
    GenerationReport report;
    report.prompt_tokens = prompt_;
    report.result = std::move(result);
    report.totals = engine.leader().Totals(slot_);
    report.ranks = engine.world().size();
    report.grid = engine.grid();
    report.policy = options_.config.cache.policy;
    report.backend = options_.config.backend;
    report.note = engine.note();
    std::fputs(Summary(report).c_str(), stderr);
    return report_->Write(ToJson(report));
  }

  absl::Status Converse(Engine& engine) {
    const bool terminal = isatty(STDIN_FILENO);
    std::string line;
    for (;;) {
      if (terminal) std::fputs("> ", stderr);
      if (!std::getline(std::cin, line)) return absl::OkStatus();
      if (line.empty()) continue;
      ASSIGN_OR_RETURN(prompt_, Encode(line));
      RETURN_IF_ERROR(Answer(engine));
    }
  }

  const GenerationOptions& options_;
  const Model& model_;
  std::optional<ReportFile> report_;
  std::optional<ChatTemplate> chat_;
  std::vector<ChatMessage> messages_;
  std::vector<int> prompt_;
  int slot_ = 0;
};

}  // namespace

absl::Status Generate(const GenerationOptions& options, RankContext rank) {
  Communicator& world = *rank.world;
  const bool leads = world.rank() == 0;
  auto model = LoadModel(options.config);
  RETURN_IF_ERROR(AgreeOnStatus(world, model.status()));
  Generator generator(options, *model);
  RETURN_IF_ERROR(
      AgreeOnStatus(world, leads ? generator.Prepare() : absl::OkStatus()));
  const int64_t context =
      GatherFromRanks(world, leads ? generator.ContextTokens() : 0)[0];
  ASSIGN_OR_RETURN(
      auto engine,
      Engine::Make(
          options.config, *model,
          {context, ThreadsOfRank(options.config.threads, rank.ranks_on_host),
           rank.device},
          std::move(rank.world)));
  absl::Status status;
  if (leads) {
    status = generator.Run(*engine);
    engine->leader().Stop();
  } else {
    engine->Follow();
  }
  return AgreeOnStatus(engine->world(), status);
}

}  // namespace subgen
