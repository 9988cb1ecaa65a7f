#include "launch/evaluation/bench.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

namespace subgen {

EngineSubject Bench::Subject(const Setup& setup, const RunShape& shape) const {
  EngineSubject subject;
  subject.policy = setup.policy;
  subject.once = setup.mode == "once";
  const double rows =
      setup.budget_fraction * static_cast<double>(shape.prompt_tokens);
  const int64_t row_bytes =
      2 * RowBytes(RowFormat::kBF16, model.file.config.head_dim);
  if (setup.mode == "exact") {
    // The budget of 0 stands for the whole context.
  } else if (plan.budget_of == "rows") {
    subject.budget_tokens = std::max<int64_t>(1, std::llround(rows));
  } else {
    subject.budget_bytes = std::max<int64_t>(
        1, std::llround(rows * static_cast<double>(row_bytes)));
  }
  return subject;
}

absl::Status Bench::With(
    const SetupGroup& group, const RunShape& shape,
    const std::function<absl::Status(Engine&)>& use) const {
  const int64_t limit = ContextLimit(config, model.file.config);
  if (shape.context_tokens > limit) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the plan asks for sequences of ", shape.context_tokens,
        " tokens, and the context is ", limit,
        ": lower the plan's lengths, or set context_tokens (and rope.scaling "
        "beyond the ",
        model.file.config.context, " tokens that the model was trained for)"));
  }
  EngineChoice choice;
  choice.subjects = static_cast<int64_t>(group.size());
  std::string names;
  for (size_t i = 0; i < group.size(); ++i) {
    choice.subject.at(i) = Subject(group[i], shape);
    absl::StrAppend(&names, i == 0 ? "" : ", ", group[i].name, " ",
                    group[i].budget_fraction);
  }
  choice.context_tokens = shape.context_tokens;
  choice.seed = shape.seed;
  choice.measured_from = shape.measured_from;
  const absl::Status status = series.With(choice, use);
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrCat("policy and budget (", names, ") of ", shape.prompt_tokens,
                   " tokens: ", status.message()));
}

double Bench::BytesPerHead(Engine& engine, int slot) const {
  const int64_t heads = static_cast<int64_t>(model.file.config.layers) *
                        model.file.config.kv_heads;
  return static_cast<double>(engine.leader().Totals(slot).cache_bytes) /
         static_cast<double>(heads);
}

void Bench::Forget(Engine& engine, const SetupGroup& group) const {
  for (size_t i = 0; i < group.size(); ++i) {
    engine.leader().Forget(static_cast<int>(i));
  }
}

std::vector<int> Bench::Beginning() const {
  const Vocabulary& vocabulary = model.tokenizer->vocabulary();
  if (!vocabulary.add_bos) return {};
  return {vocabulary.bos};
}

ResultRow Bench::Row(const Setup& setup, const std::string& task,
                     double bytes_per_head) const {
  ResultRow row;
  row.task = task;
  row.policy = setup.name;
  row.mode = setup.mode;
  row.budget_fraction = setup.budget_fraction;
  row.bytes_per_head = bytes_per_head;
  return row;
}

}  // namespace subgen
