#include "launch/generate/generation.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "engine/decode/engine.h"
#include "kernels/base/status_macros.h"
#include "launch/generate/answer.h"
#include "launch/generate/conversation.h"
#include "launch/generate/memory_check.h"
#include "launch/generate/prompt.h"
#include "launch/generate/report.h"
#include "launch/ranks/output.h"
#include "launch/ranks/report_file.h"

namespace subgen {
namespace {

// A Generator is rank 0's side of a generation.
class Generator {
 public:
  Generator(const GenerationOptions& options, const Model& model)
      : options_(options), model_(model) {}

  // Reads and encodes the prompt, so that its faults show before memory is
  // reserved.
  absl::Status Prepare() {
    for (const std::string& input :
         {options_.config.model, options_.prompt_file}) {
      RETURN_IF_ERROR(CheckIsNot("--output", options_.output, input));
      RETURN_IF_ERROR(CheckIsNot("--report", options_.report, input));
    }
    ASSIGN_OR_RETURN(report_, ReportFile::Open(options_.report));
    RETURN_IF_ERROR(SetOutput(options_.output));
    if (!options_.raw) {
      ASSIGN_OR_RETURN(
          const ChatTemplate chat,
          ChatTemplate::Make(options_.config.chat,
                             model_.tokenizer->vocabulary().chat_template));
      chat_ = chat;
    }
    if (options_.chat) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string prompt,
                     ReadPrompt(options_.prompt, options_.prompt_file));
    ASSIGN_OR_RETURN(prompt_, Encode(prompt));
    return CheckLength();
  }

  // Returns the longest sequence that this run can need.
  int64_t ContextTokens() const {
    const int64_t limit = ContextLimit(options_.config, model_.file.config);
    if (options_.chat || options_.config.context_tokens > 0) return limit;
    return std::min<int64_t>(limit,
                             prompt_.size() + options_.config.max_tokens);
  }

  absl::Status Run(Engine& engine) {
    std::fputs(DescribeCache(engine).c_str(), stderr);
    if (options_.chat) {
      return Converse(options_, model_, *chat_, *report_, engine);
    }
    ASSIGN_OR_RETURN(const int slot, engine.scheduler().Open());
    ASSIGN_OR_RETURN(const GenerationReport report,
                     Answer(options_, engine, slot, prompt_));
    std::fputs(Summary(report).c_str(), stderr);
    return report_->Write(ToJson(report));
  }

 private:
  absl::StatusOr<std::vector<int>> Encode(const std::string& prompt) const {
    if (options_.raw) return EncodeRaw(*model_.tokenizer, prompt);
    return EncodeChat(*model_.tokenizer, *chat_,
                      {{ChatMessage::Role::kUser, prompt}});
  }

  absl::Status CheckLength() const {
    const int64_t limit = ContextLimit(options_.config, model_.file.config);
    const int64_t length = prompt_.size(), trained = model_.file.config.context;
    if (!LeavesRoom(length, limit)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the prompt has ", length, " tokens and the context ", limit,
          ": shorten it, or set context_tokens (and rope.scaling beyond the ",
          trained, " tokens that the model was trained for)"));
    }
    if (length >= trained) {
      std::fprintf(stderr,
                   "warning: the prompt has %ld tokens and the model was "
                   "trained for %ld: answers beyond may be of no worth "
                   "(rope.scaling, rope.factor)\n",
                   static_cast<long>(length), static_cast<long>(trained));
    }
    return absl::OkStatus();
  }

  const GenerationOptions& options_;
  const Model& model_;
  std::optional<ReportFile> report_;
  std::optional<ChatTemplate> chat_;
  std::vector<int> prompt_;
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
  RETURN_IF_ERROR(
      AgreeOnStatus(engine->world(), CheckMemory(*engine, rank.ranks_on_host)));
  return AgreeOnStatus(engine->world(), engine->Run([&](Engine& leading) {
    return generator.Run(leading);
  }));
}

}  // namespace subgen
