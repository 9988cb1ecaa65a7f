#include "engine/decode/engine.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "engine/cache/budget.h"
#include "kernels/base/status_macros.h"
#include "kernels/cpu/tiles/instruction_sets.h"

namespace subgen {
namespace {

// Returns a name such as "rank 1 of 4 on host7", for messages about a step.
std::string RankName(const Communicator& world) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat("rank ", world.rank(), " of ", world.size(), " on ",
                      host);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(
    const EngineConfig& config, const EngineOptions& options) {
  const std::string& name = config.backend;
  if (name == "reference") return MakeReferenceBackend();
  if (name == "cpu") {
    RETURN_IF_ERROR(cpu::UseInstructionSet(config.cpu.instruction_set));
    return MakeCpuBackend(options.threads);
  }
  if (name == "cuda") return MakeCudaBackend(options.device);
  return absl::InvalidArgumentError(
      absl::StrCat("backend '", name, "': legal are cpu, cuda, reference"));
}

absl::StatusOr<Model> LoadModel(const EngineConfig& config) {
  if (config.model.empty()) {
    return absl::InvalidArgumentError(
        "no model is given: name a GGUF file by --model or the key 'model' "
        "(launch/fetch_model.sh gets a small one)");
  }
  Model model;
  auto file = ReadGgufModel(config.model, config.rope);
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(
        absl::StrCat(file.status().message(),
                     " (launch/fetch_model.sh fetches SmolLM2-135M)"));
  }
  RETURN_IF_ERROR(file.status());
  model.file = *std::move(file);
  auto tokenizer = MakeTokenizer(std::move(model.file.vocabulary));
  if (!tokenizer.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.model, ": ", tokenizer.status().message()));
  }
  model.tokenizer = *std::move(tokenizer);
  // A token beyond the table would be looked up outside of it.
  if (model.tokenizer->size() != model.file.config.vocabulary) {
    return absl::InvalidArgumentError(absl::StrCat(
        config.model, ": the vocabulary has ", model.tokenizer->size(),
        " tokens and the embedding ", model.file.config.vocabulary, " rows"));
  }
  return model;
}

Engine::Engine(const EngineConfig& config, const Model& model,
               int64_t context_tokens, std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)),
      deadline_(config.step_deadline_seconds, RankName(*parts_->grid.world)),
      leader_({*parts_->transformer, parts_->grid, deadline_}),
      scheduler_(leader_, *model.tokenizer,
                 {context_tokens, config.prefill_chunk, config.max_sequences}) {
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Make(
    const EngineConfig& config, const Model& model,
    const EngineOptions& options, std::unique_ptr<Communicator> world) {
  const RanksConfig& ranks = config.ranks;
  ASSIGN_OR_RETURN(
      const GridShape shape,
      PlanGrid({ranks.head_shards, ranks.token_shards, ranks.token_block},
               world->size(), model.file.config.kv_heads));
  ASSIGN_OR_RETURN(const MergeMethod merge, ParseMergeMethod(ranks.merge));
  // Until here all ranks decide by the same settings and file. A device may be
  // missing on one of them only, so from here on they agree.
  auto backend = MakeBackend(config, options);
  RETURN_IF_ERROR(AgreeOnStatus(*world, backend.status()));
  auto parts = std::make_unique<Parts>();
  // Parts refer to one another, so they are made where they will stay.
  parts->grid = MakeGrid(shape, std::move(world));
  parts->backend = *std::move(backend);

  TransformerOptions transformer_options;
  transformer_options.cache =
      // The budget follows from the longest legal sequence and not from the one
      // at hand, so that what is kept of a prompt does not depend on how much
      // is asked for.
      WithBudget(config.cache, ContextLimit(config, model.file.config));
  transformer_options.merge = merge;
  transformer_options.context_tokens = options.context_tokens;
  transformer_options.max_batch = config.prefill_chunk;
  transformer_options.slots = config.max_sequences;
  transformer_options.make_policy = options.make_policy;
  auto transformer = Transformer::Make(model.file, transformer_options,
                                       parts->grid, *parts->backend);
  RETURN_IF_ERROR(AgreeOnStatus(*parts->grid.world, transformer.status()));
  parts->transformer = *std::move(transformer);
  return std::unique_ptr<Engine>(
      new Engine(config, model, options.context_tokens, std::move(parts)));
}

absl::Status Engine::Run(const std::function<absl::Status(Engine&)>& lead) {
  if (!leads()) {
    Follow({*parts_->transformer, parts_->grid, deadline_});
    return absl::OkStatus();
  }
  // The others are let go whatever the status is: they would wait for ever.
  const absl::Status status = lead(*this);
  leader_.Stop();
  return status;
}

absl::StatusOr<std::vector<int>> EncodeChat(
    const Tokenizer& tokenizer, const ChatTemplate& chat,
    const std::vector<ChatMessage>& messages) {
  return tokenizer.EncodePrompt(chat.Render(messages));
}

absl::StatusOr<std::vector<int>> EncodeRaw(const Tokenizer& tokenizer,
                                           absl::string_view prompt) {
  ASSIGN_OR_RETURN(std::vector<int> tokens, tokenizer.Encode(prompt, true));
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  if (vocabulary.add_bos && (tokens.empty() || tokens[0] != vocabulary.bos)) {
    // A prompt that spells BOS out itself gets no second one.
    tokens.insert(tokens.begin(), vocabulary.bos);
  }
  return tokens;
}

int64_t ContextLimit(const EngineConfig& config, const ModelConfig& model) {
  return config.context_tokens > 0 ? config.context_tokens : model.context;
}

}  // namespace subgen
