#include "launch/evaluation/evaluation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "engine/cache/budget.h"
#include "kernels/base/status_macros.h"
#include "launch/evaluation/bench.h"

namespace subgen {
namespace {

struct Task {
  const char* name;
  int64_t (*sequences)(const EvaluationPlan& plan);  // of a setup and seed
  absl::StatusOr<std::vector<ResultRows>> (*measure)(const Bench& bench,
                                                     const SetupGroup& group);
};

constexpr Task kTasks[] = {
    {"copy", [](const EvaluationPlan& plan) { return plan.copy.pairs; },
     MeasureCopy},
    {"perplexity",
     [](const EvaluationPlan& plan) { return plan.perplexity.texts; },
     MeasurePerplexity},
    {"passkey",
     [](const EvaluationPlan& plan) {
       const PasskeyPlan& passkey = plan.passkey;
       return static_cast<int64_t>(passkey.lengths.size() *
                                   passkey.depths.size()) *
              passkey.questions;
     },
     MeasurePasskey},
    {"lines",
     [](const EvaluationPlan& plan) {
       return static_cast<int64_t>(plan.lines.lines.size()) *
              plan.lines.questions;
     },
     MeasureLines},
    {"attention",
     [](const EvaluationPlan& plan) { return plan.attention.texts; },
     MeasureAttention},
};

// What keeps every token is measured once.
std::vector<double> Budgets(const EvaluationPlan& plan,
                            const CacheConfig& cache) {
  if (!TakesBudget(cache)) return {1.0};
  return plan.budgets;
}

std::vector<Setup> Setups(const EvaluationOptions& options) {
  const EvaluationPlan& plan = options.plan;
  std::vector<Setup> setups;
  for (size_t i = 0; i < plan.policies.size(); ++i) {
    const std::string& name = plan.policies[i].name;
    const int64_t policy = static_cast<int64_t>(i);
    if (options.policies[i].cache.policy == "exact") {
      setups.push_back({policy, name, "exact", 1.0});
      continue;
    }
    for (const std::string& mode : plan.modes) {
      for (const double budget : Budgets(plan, options.policies[i].cache)) {
        setups.push_back({policy, name, mode, budget});
      }
    }
  }
  return setups;
}

// Returns indices of setups that one engine measures: those that keep their
// prompts whole together, by whether their rows are transformed, and the others
// alone.
std::vector<std::vector<size_t>> Groups(const EvaluationOptions& options,
                                        const std::vector<Setup>& setups) {
  std::vector<std::vector<size_t>> groups;
  size_t whole[2] = {setups.size(), setups.size()};  // the groups being filled
  for (size_t i = 0; i < setups.size(); ++i) {
    const CacheConfig& cache = options.policies[setups[i].policy].cache;
    if (setups[i].mode == "stream") {
      groups.push_back({i});
      continue;
    }
    size_t& group = whole[TransformsRows(cache)];
    if (group == setups.size() ||
        groups[group].size() == EngineChoice::kMostSubjects) {
      group = groups.size();
      groups.emplace_back();
    }
    groups[group].push_back(i);
  }
  return groups;
}

// Describes a group for people: "copy: window at 25 % (stream)".
std::string Describe(const Task& task, const SetupGroup& group) {
  if (group.size() > 1) {
    return absl::StrCat(task.name, ": ", group.size(),
                        " policies and budgets together");
  }
  const Setup& setup = group[0];
  if (setup.mode == "exact") return absl::StrCat(task.name, ": ", setup.name);
  return absl::StrCat(task.name, ": ", setup.name, " at ",
                      100.0 * setup.budget_fraction, " % (", setup.mode, ")");
}

// Says how far the evaluation is.
class ProgressTeller {
 public:
  ProgressTeller(const EvaluationOptions& options, int64_t total)
      : tell_(options.on_progress), total_(total) {}

  void Begin(std::string what) {
    what_ = std::move(what);
    Tell();
  }
  void Add(size_t sequences) {
    done_ += static_cast<int64_t>(sequences);
    Tell();
  }

 private:
  void Tell() const {
    if (tell_) tell_(done_, total_, what_);
  }

  const decltype(EvaluationOptions::on_progress)& tell_;
  const int64_t total_;
  int64_t done_ = 0;
  std::string what_;
};

// Returns the rows of a task, in the order of the setups.
absl::StatusOr<ResultRows> MeasureTask(
    const Task& task, const Bench& bench, const std::vector<Setup>& setups,
    const std::vector<std::vector<size_t>>& groups, ProgressTeller& progress) {
  std::vector<ResultRows> of_setup(setups.size());
  for (const std::vector<size_t>& indices : groups) {
    SetupGroup group;
    for (const size_t i : indices) group.push_back(setups[i]);
    progress.Begin(Describe(task, group));
    ASSIGN_OR_RETURN(std::vector<ResultRows> measured,
                     task.measure(bench, group));
    for (size_t i = 0; i < indices.size(); ++i) {
      of_setup[indices[i]] = std::move(measured[i]);
    }
  }
  ResultRows rows;
  for (const ResultRows& more : of_setup) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

absl::StatusOr<std::vector<ResultRow>> Lead(const EvaluationOptions& options,
                                            const Model& model,
                                            EngineSeries& series) {
  const EvaluationPlan& plan = options.plan;
  const std::vector<Setup> setups = Setups(options);
  const auto groups = Groups(options, setups);
  std::vector<const Task*> tasks;
  int64_t total = 0;
  for (const Task& task : kTasks) {
    if (std::count(plan.tasks.begin(), plan.tasks.end(), task.name) == 0) {
      continue;
    }
    tasks.push_back(&task);
    total += task.sequences(plan) *
             static_cast<int64_t>(setups.size() * plan.seeds.size());
  }
  ProgressTeller progress(options, total);
  progress.Begin("reading the texts");
  ASSIGN_OR_RETURN(const std::vector<Text> texts,
                   LoadTexts(plan.texts, *model.tokenizer));
  const Bench bench = {
      plan,  model,  options.policies[0],
      texts, series, [&](size_t count) { progress.Add(count); }};
  std::vector<ResultRow> rows;
  for (const Task* task : tasks) {
    ASSIGN_OR_RETURN(const ResultRows more,
                     MeasureTask(*task, bench, setups, groups, progress));
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

}  // namespace

absl::StatusOr<std::vector<ResultRow>> Evaluate(
    const EvaluationOptions& options, const Model& model, Communicator& world) {
  SUBGEN_CHECK(options.policies.size() == options.plan.policies.size() &&
               !options.policies.empty());
  EngineOptions hardware;
  hardware.threads = options.threads;
  hardware.device = options.device;
  EngineSeries series(model, options.policies, hardware, world);
  std::vector<ResultRow> rows;
  const absl::Status status = series.Run([&]() -> absl::Status {
    ASSIGN_OR_RETURN(rows, Lead(options, model, series));
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(AgreeOnStatus(world, status));
  return rows;
}

}  // namespace subgen
