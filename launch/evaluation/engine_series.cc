#include "launch/evaluation/engine_series.h"

#include <limits>
#include <utility>

#include "engine/cache/budget.h"
#include "kernels/base/status_macros.h"
#include "launch/evaluation/shared_prompt.h"

namespace subgen {
namespace {

void Broadcast(Communicator& world, EngineChoice* choice) {
  world.Broadcast({reinterpret_cast<std::byte*>(choice), sizeof(EngineChoice)},
                  0);
}

}  // namespace

EngineSeries::EngineSeries(const Model& model,
                           std::vector<EngineConfig> configs,
                           const EngineOptions& hardware, Communicator& world)
    : model_(model),
      configs_(std::move(configs)),
      hardware_(hardware),
      world_(world) {}

absl::Status EngineSeries::With(
    const EngineChoice& choice,
    const std::function<absl::Status(Engine&)>& use) {
  EngineChoice sent = choice;
  Broadcast(world_, &sent);
  return RunEngine(choice, use);
}

absl::Status EngineSeries::Run(const std::function<absl::Status()>& lead) {
  if (world_.rank() != 0) {
    Follow();
    return absl::OkStatus();
  }
  const absl::Status status = lead();
  EngineChoice none;
  none.subjects = 0;
  Broadcast(world_, &none);
  return status;
}

void EngineSeries::Follow() {
  for (;;) {
    EngineChoice choice;
    Broadcast(world_, &choice);
    if (choice.subjects == 0) return;
    // If this fails, it does so on every rank; rank 0 decides what follows.
    RunEngine(choice, nullptr).IgnoreError();
  }
}

// The engine itself is configured for the subject with the fewest rows among
// those whose heads share by spread: the others' sequences outgrow their rows
// less.
EngineConfig EngineSeries::Configure(const EngineChoice& choice,
                                     std::vector<CacheConfig>* caches) const {
  size_t least = 0;
  double least_rows = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < choice.subjects; ++i) {
    const EngineSubject& subject = choice.subject.at(i);
    CacheConfig cache = configs_.at(subject.policy).cache;
    cache.when = subject.once != 0 ? "once" : "stream";
    cache.budget_tokens = subject.budget_tokens;
    cache.budget_bytes = subject.budget_bytes;
    cache.budget_fraction = 0.0;
    cache.seed = static_cast<uint64_t>(choice.seed);
    const auto format = ParseRowFormat(cache.row_format);
    const double rows =
        subject.budget_tokens > 0
            ? static_cast<double>(subject.budget_tokens)
            : static_cast<double>(subject.budget_bytes) /
                  static_cast<double>(
                      format.ok()
                          ? RowBytes(*format, model_.file.config.head_dim)
                          : 1);
    if (SharesBySpread(cache) && rows > 0.0 && rows < least_rows) {
      least = i;
      least_rows = rows;
    }
    caches->push_back(std::move(cache));
  }
  EngineConfig config = configs_.at(choice.subject[least].policy);
  config.cache = (*caches)[least];
  config.max_sequences = static_cast<int>(choice.subjects);
  return config;
}

absl::Status EngineSeries::RunEngine(
    const EngineChoice& choice,
    const std::function<absl::Status(Engine&)>& use) {
  std::vector<CacheConfig> caches;
  const EngineConfig config = Configure(choice, &caches);
  EngineOptions options = hardware_;
  options.context_tokens = choice.context_tokens;
  std::unique_ptr<AttentionProbe> probe;
  if (choice.measured_from >= 0) {
    ASSIGN_OR_RETURN(
        probe, AttentionProbe::Make(model_.file.config, config,
                                    choice.measured_from, world_.Split(0)));
    options.make_policy = probe->Factory();
  } else if (caches.size() > 1) {
    options.make_policy = SharePrompt(caches);
  }
  ASSIGN_OR_RETURN(auto engine,
                   Engine::Make(config, model_, options, world_.Split(0)));
  const absl::Status status = engine->Run(use);
  if (probe != nullptr) errors_ = probe->Gather();
  return status;
}

}  // namespace subgen
