// One engine after another runs over the same ranks and the same mapped model.
// Rank 0 chooses, the others follow.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "engine/decode/engine.h"
#include "launch/evaluation/attention_probe.h"

namespace subgen {

// A subject is a policy that is measured. One of the two budgets is 0; if both
// are, the budget is the whole context.
struct EngineSubject {
  int64_t policy = 0;  // of the configurations
  int64_t once = 0;    // 1: cache.when = once
  int64_t budget_tokens = 0;
  int64_t budget_bytes = 0;
};

// Rank 0 sends this. Subject i is in slot i; several share their prompts
// (shared_prompt.h).
struct EngineChoice {
  static constexpr int64_t kMostSubjects = 32;
  int64_t subjects = 1;  // 0 ends the series
  std::array<EngineSubject, kMostSubjects> subject;
  int64_t context_tokens = 0;
  int64_t seed = 1;
  int64_t measured_from = -1;  // attention_probe.h; negative: not measured
};

class EngineSeries {
 public:
  // Model and ranks outlive the series.
  EngineSeries(const Model& model, std::vector<EngineConfig> configs,
               const EngineOptions& hardware, Communicator& world);

  // Rank 0 runs `lead`, the others make the engines that it asks for and follow
  // until it has returned, whatever it returns: its status on rank 0, OK on the
  // others. Once.
  absl::Status Run(const std::function<absl::Status()>& lead);
  // Inside `lead`: makes the engine on all ranks, calls `use`, takes it down.
  absl::Status With(const EngineChoice& choice,
                    const std::function<absl::Status(Engine&)>& use);
  // Returns on rank 0 the errors of the last engine, if it was measured.
  const AttentionErrors& errors() const { return errors_; }

 private:
  void Follow();
  // Returns the engine's configuration, with each subject's cache.
  EngineConfig Configure(const EngineChoice& choice,
                         std::vector<CacheConfig>* caches) const;
  absl::Status RunEngine(const EngineChoice& choice,
                         const std::function<absl::Status(Engine&)>& use);

  const Model& model_;
  const std::vector<EngineConfig> configs_;
  const EngineOptions hardware_;  // threads and device
  Communicator& world_;
  AttentionErrors errors_;
};

}  // namespace subgen
