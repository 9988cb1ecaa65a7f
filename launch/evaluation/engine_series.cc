#include "launch/evaluation/engine_series.h"

#include <utility>

#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

void Broadcast(Communicator& world, EngineChoice* choice) {
  world.Broadcast({reinterpret_cast<std::byte*>(choice), sizeof(EngineChoice)},
                  0);
}

}  // namespace

EngineSeries::EngineSeries(const Model& model,
                           std::vector<EngineConfig> configs, int threads,
                           Communicator& world)
    : model_(model),
      configs_(std::move(configs)),
      threads_(threads),
      world_(world) {}

absl::Status EngineSeries::With(
    const EngineChoice& choice,
    const std::function<absl::Status(Engine&)>& use) {
  EngineChoice sent = choice;
  Broadcast(world_, &sent);
  return Run(choice, use);
}

void EngineSeries::Stop() {
  EngineChoice none;
  none.policy = EngineChoice::kNoMore;
  Broadcast(world_, &none);
}

void EngineSeries::Follow() {
  for (;;) {
    EngineChoice choice;
    Broadcast(world_, &choice);
    if (choice.policy == EngineChoice::kNoMore) return;
    // Where this fails it does so on every rank; rank 0 decides what follows.
    Run(choice, nullptr).IgnoreError();
  }
}

absl::Status EngineSeries::Run(
    const EngineChoice& choice,
    const std::function<absl::Status(Engine&)>& use) {
  EngineConfig config = configs_.at(choice.policy);
  config.max_sequences = 1;
  config.cache.when = choice.once != 0 ? "once" : "stream";
  config.cache.budget_tokens = choice.budget_tokens;
  config.cache.budget_bytes = choice.budget_bytes;
  config.cache.budget_fraction = 0.0;
  config.cache.seed = static_cast<uint64_t>(choice.seed);
  EngineOptions options;
  options.context_tokens = choice.context_tokens;
  options.threads = threads_;
  std::unique_ptr<AttentionProbe> probe;
  if (choice.measured_from >= 0) {
    ASSIGN_OR_RETURN(
        probe, AttentionProbe::Make(model_.config, config, choice.measured_from,
                                    world_.Split(0)));
    options.make_policy = probe->Factory();
  }
  ASSIGN_OR_RETURN(auto engine,
                   Engine::Make(config, model_, options, world_.Split(0)));
  absl::Status status;
  if (engine->leads()) {
    status = use(*engine);
    engine->leader().Stop();
  } else {
    engine->Follow();
  }
  if (probe != nullptr) errors_ = probe->Gather();
  return status;
}

}  // namespace subgen
