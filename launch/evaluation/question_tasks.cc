// The tasks passkey and lines ask whether the right number is found.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"
#include "launch/evaluation/bench.h"
#include "launch/evaluation/questions.h"
#include "launch/evaluation/scoring.h"

namespace subgen {
namespace {

// A tally counts answers under several headings, in the order of their names'
// first use.
class Tally {
 public:
  void Add(const std::string& metric, bool right, double bytes_per_head) {
    auto [found, fresh] = counts_.try_emplace(metric);
    if (fresh) order_.push_back(metric);
    found->second.right += right;
    found->second.asked += 1;
    found->second.bytes += bytes_per_head;
  }
  std::vector<ResultRow> Rows(const Bench& bench, const Setup& setup,
                              const std::string& task) const {
    std::vector<ResultRow> rows;
    for (const std::string& metric : order_) {
      const Count& count = counts_.at(metric);
      ResultRow row = bench.Row(setup, task,
                                count.bytes / static_cast<double>(count.asked));
      row.metric = metric;
      row.estimate = ShareEstimate(count.right, count.asked);
      rows.push_back(row);
    }
    return rows;
  }

 private:
  struct Count {
    int64_t right = 0, asked = 0;
    double bytes = 0.0;
  };
  std::map<std::string, Count> counts_;
  std::vector<std::string> order_;
};

// These are the answers of all setups of a group to one question.
struct Answered {
  std::vector<std::string> texts;
  std::vector<double> bytes_per_head;  // after it
};
Answered Ask(const Bench& bench, const SetupGroup& group, Engine& engine,
             Question question) {
  question.chunk = bench.plan.chunk;
  const int slots = static_cast<int>(group.size());
  Answered answered;
  answered.texts =
      Answer(engine.leader(), *bench.model.tokenizer, question, slots);
  for (int slot = 0; slot < slots; ++slot) {
    answered.bytes_per_head.push_back(bench.BytesPerHead(engine, slot));
  }
  bench.on_run(group.size());
  bench.Forget(engine, group);
  return answered;
}

std::vector<ResultRows> TallyRows(const Bench& bench, const SetupGroup& group,
                                  const std::vector<Tally>& tallies,
                                  const std::string& task) {
  std::vector<ResultRows> rows;
  for (size_t i = 0; i < group.size(); ++i) {
    rows.push_back(tallies[i].Rows(bench, group[i], task));
  }
  return rows;
}

constexpr int64_t kPasskeyAnswer = 8;  // tokens: a blank, five digits, an end

struct PasskeyItem {
  int64_t length = 0;
  double depth = 0.0;
  Draw draw;
};

absl::Status AskPasskey(const Bench& bench, const SetupGroup& group,
                        Engine& engine, const PasskeyItem& item,
                        std::vector<Tally>* tallies) {
  const Passkey passkey = DrawPasskey(item.draw);
  ASSIGN_OR_RETURN(std::vector<int> prose,
                   Excerpt(bench.texts, item.length, item.draw));
  ASSIGN_OR_RETURN(std::vector<int> prompt,
                   PasskeyPrompt(passkey, std::move(prose), item.depth,
                                 item.length, *bench.model.tokenizer));
  const Answered answered =
      Ask(bench, group, engine, {std::move(prompt), kPasskeyAnswer});
  for (size_t i = 0; i < group.size(); ++i) {
    const bool right = StartsWithNumber(answered.texts[i], passkey.number);
    const double bytes = answered.bytes_per_head[i];
    Tally& tally = (*tallies)[i];
    tally.Add("accuracy", right, bytes);
    tally.Add(absl::StrCat("accuracy at ", item.length, " tokens"), right,
              bytes);
    tally.Add(absl::StrCat("accuracy at depth ", item.depth), right, bytes);
  }
  return absl::OkStatus();
}

// These are the questions of one number of lines, as tokens.
struct LinesItems {
  std::vector<std::vector<int>> prompts;
  std::vector<int> numbers;
  int64_t longest = 0, mean = 0;  // tokens
};

absl::StatusOr<LinesItems> DrawLinesItems(const Bench& bench, int64_t lines,
                                          int64_t seed) {
  const Tokenizer& tokenizer = *bench.model.tokenizer;
  ASSIGN_OR_RETURN(const ChatTemplate chat,
                   ChatTemplate::Make(bench.config.chat,
                                      tokenizer.vocabulary().chat_template));
  LinesItems items;
  for (int64_t i = 0; i < bench.plan.lines.questions; ++i) {
    const LinesQuestion question = DrawLines(
        lines, {static_cast<uint64_t>(seed), i, static_cast<int>(lines)});
    ASSIGN_OR_RETURN(std::vector<int> prompt,
                     EncodeChat(tokenizer, chat,
                                {{ChatMessage::Role::kUser, question.prompt}}));
    const int64_t length = static_cast<int64_t>(prompt.size());
    items.longest = std::max(items.longest, length);
    items.mean += length;
    items.numbers.push_back(question.number);
    items.prompts.push_back(std::move(prompt));
  }
  items.mean /= bench.plan.lines.questions;
  return items;
}

}  // namespace

absl::StatusOr<std::vector<ResultRows>> MeasurePasskey(
    const Bench& bench, const SetupGroup& group) {
  const PasskeyPlan& plan = bench.plan.passkey;
  std::vector<Tally> tallies(group.size());
  for (const int64_t seed : bench.plan.seeds) {
    int64_t item = 0;
    for (const int64_t length : plan.lengths) {
      RunShape shape;
      shape.prompt_tokens = length;
      shape.context_tokens = length + kPasskeyAnswer + 1;
      shape.seed = seed;
      const auto ask_all = [&](Engine& engine) -> absl::Status {
        for (const double depth : plan.depths) {
          for (int64_t i = 0; i < plan.questions; ++i) {
            const Draw draw = {static_cast<uint64_t>(seed), item++, 0};
            RETURN_IF_ERROR(AskPasskey(bench, group, engine,
                                       {length, depth, draw}, &tallies));
          }
        }
        return absl::OkStatus();
      };
      RETURN_IF_ERROR(bench.With(group, shape, ask_all));
    }
  }
  return TallyRows(bench, group, tallies, "passkey");
}

absl::StatusOr<std::vector<ResultRows>> MeasureLines(const Bench& bench,
                                                     const SetupGroup& group) {
  const LinesPlan& plan = bench.plan.lines;
  std::vector<Tally> tallies(group.size());
  for (const int64_t seed : bench.plan.seeds) {
    for (const int64_t lines : plan.lines) {
      ASSIGN_OR_RETURN(const LinesItems items,
                       DrawLinesItems(bench, lines, seed));
      RunShape shape;
      shape.prompt_tokens = items.mean;
      shape.context_tokens = items.longest + plan.max_tokens + 1;
      shape.seed = seed;
      RETURN_IF_ERROR(bench.With(group, shape, [&](Engine& engine) {
        for (size_t i = 0; i < items.prompts.size(); ++i) {
          const Answered answered =
              Ask(bench, group, engine, {items.prompts[i], plan.max_tokens});
          for (size_t s = 0; s < group.size(); ++s) {
            tallies[s].Add(absl::StrCat("accuracy of ", lines, " lines"),
                           EndsWithNumber(answered.texts[s], items.numbers[i]),
                           answered.bytes_per_head[s]);
          }
        }
        return absl::OkStatus();
      }));
    }
  }
  return TallyRows(bench, group, tallies, "lines");
}

}  // namespace subgen
