// The tasks of an evaluation share this, on rank 0.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "launch/evaluation/engine_series.h"
#include "launch/evaluation/plan.h"
#include "launch/evaluation/result_table.h"
#include "launch/evaluation/texts.h"

namespace subgen {

// A setup is a row of the tables: a policy, how it compresses, how much it may
// hold.
struct Setup {
  int64_t policy = 0;  // of the plan's
  std::string name;
  std::string mode;  // exact, once, stream
  double budget_fraction = 1.0;
};

// One engine measures the setups of a group: one alone, or several that keep
// the whole prompt until it ends, so that they can share it (shared_prompt.h).
using SetupGroup = std::vector<Setup>;
using ResultRows = std::vector<ResultRow>;

// This says how long the sequences of a run are.
struct RunShape {
  int64_t prompt_tokens = 0;   // budgets are fractions of these
  int64_t context_tokens = 0;  // longest sequence
  int64_t seed = 1;
  int64_t measured_from = -1;  // attention_probe.h
};

struct Bench {
  const EvaluationPlan& plan;
  const Model& model;
  const EngineConfig& config;  // of what does not vary with the policy
  const std::vector<Text>& texts;
  EngineSeries& series;
  std::function<void(size_t)> on_run;  // so many more sequences are measured

  // Makes the engine of a group, with setup i in slot i, and uses it.
  absl::Status With(const SetupGroup& group, const RunShape& shape,
                    const std::function<absl::Status(Engine&)>& use) const;
  // Returns the bytes that a slot holds per KV head of a layer, over its token
  // shards.
  double BytesPerHead(Engine& engine, int slot) const;
  // Empties the slots of the group.
  void Forget(Engine& engine, const SetupGroup& group) const;
  EngineSubject Subject(const Setup& setup, const RunShape& shape) const;
  // Returns BOS if the vocabulary adds it, else nothing.
  std::vector<int> Beginning() const;
  ResultRow Row(const Setup& setup, const std::string& task,
                double bytes_per_head) const;
};

// These are the tasks. They return all rows of each setup of a group.
absl::StatusOr<std::vector<ResultRows>> MeasureCopy(const Bench& bench,
                                                    const SetupGroup& group);
absl::StatusOr<std::vector<ResultRows>> MeasurePerplexity(
    const Bench& bench, const SetupGroup& group);
absl::StatusOr<std::vector<ResultRows>> MeasurePasskey(const Bench& bench,
                                                       const SetupGroup& group);
absl::StatusOr<std::vector<ResultRows>> MeasureLines(const Bench& bench,
                                                     const SetupGroup& group);
absl::StatusOr<std::vector<ResultRows>> MeasureAttention(
    const Bench& bench, const SetupGroup& group);

}  // namespace subgen
