// This is everything that generation needs, put together from a configuration:
// the model file, then this rank's part of the engine.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/decode/lockstep.h"
#include "engine/decode/scheduler.h"
#include "engine/model/model_file.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

namespace subgen {

struct Model {
  ModelFile file;  // but the vocabulary, which has gone to the tokenizer
  std::unique_ptr<Tokenizer> tokenizer;
};

absl::StatusOr<Model> LoadModel(const EngineConfig& config);

// These are what a run needs beyond its configuration.
struct EngineOptions {
  int64_t context_tokens = 0;  // longest sequence
  int threads = 1;             // of this rank
  int device = 0;              // of this host, for cuda
  PolicyFactory make_policy = MakeCachePolicy;
};

// Makes the backend that the config names: cpu, cuda or reference. It is an
// error where this machine or this build has no such device or instruction set.
absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(
    const EngineConfig& config, const EngineOptions& options);

// This is one rank of the engine. Rank 0 generates, the others follow.
class Engine {
 public:
  // Config and model outlive the engine. The call is collective; all ranks get
  // the same status.
  static absl::StatusOr<std::unique_ptr<Engine>> Make(
      const EngineConfig& config, const Model& model,
      const EngineOptions& options, std::unique_ptr<Communicator> world);

  Communicator& world() { return *parts_->grid.world; }
  bool leads() const { return parts_->grid.world->rank() == 0; }
  const GridShape& grid() const { return parts_->grid.shape; }
  Backend& backend() { return *parts_->backend; }
  // Returns a line for the user on how the backend runs, or nothing.
  std::string note() const { return parts_->backend->note(); }
  // Return the settings of the cache in force, budget included; its rows per KV
  // head; what all caches of this rank may take.
  const CacheConfig& cache() const { return caches().config(); }
  int64_t budget_rows() const { return caches().budget_rows(); }
  int64_t most_cache_bytes() const { return caches().most_bytes(); }
  // Tells whether rows lie in a device's memory and not in the host's.
  bool cache_on_device() const { return parts_->backend->mirror() != nullptr; }
  // Both are for rank 0, and where there are other ranks, for use inside Run.
  Leader& leader() { return leader_; }
  Scheduler& scheduler() { return scheduler_; }
  // Rank 0 runs `lead`, and the others follow what it does until it has
  // returned, whatever it returns. The status is that of `lead` on rank 0, OK
  // on the others. It can be called once: then the others follow no more.
  absl::Status Run(const std::function<absl::Status(Engine&)>& lead);

 private:
  // The transformer refers to these, so they are at an address that stays.
  struct Parts {
    RankGrid grid;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Transformer> transformer;
  };
  Engine(const EngineConfig& config, const Model& model, int64_t context_tokens,
         std::unique_ptr<Parts> parts);

  const LayerCaches& caches() const { return parts_->transformer->caches(); }

  std::unique_ptr<Parts> parts_;
  StepDeadline deadline_;
  Leader leader_;
  Scheduler scheduler_;
};

// Returns the tokens of a conversation in the model's chat template. What
// people typed is plain text: control tokens in it are not recognized.
absl::StatusOr<std::vector<int>> EncodeChat(
    const Tokenizer& tokenizer, const ChatTemplate& chat,
    const std::vector<ChatMessage>& messages);

// Returns the tokens of a raw prompt: control tokens are recognized, and BOS
// begins it where the model wants it.
absl::StatusOr<std::vector<int>> EncodeRaw(const Tokenizer& tokenizer,
                                           absl::string_view prompt);

// Returns the longest sequence that is legal: config.context_tokens where set,
// else the context that the model was trained for.
int64_t ContextLimit(const EngineConfig& config, const ModelConfig& model);

}  // namespace subgen
