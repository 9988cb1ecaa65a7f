#include "engine/decode/scheduler.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

namespace subgen {

struct Scheduler::Sequence {
  int slot = 0;
  std::vector<int> tokens;  // of the whole sequence; the cache holds the first
  int64_t cached = 0;       // `cached` of them
  int64_t prompt_end = 0;   // tokens before this came with the request
  bool busy = false;
  GenerationRequest request;
  GenerationResult result;
  Utf8Stream characters;
  StopStrings stops{{}};

  bool reading_prompt() const { return cached < prompt_end; }
  // Tells whether a token follows the run.
  bool GivesToken(const BatchRun& run) const {
    return cached + static_cast<int64_t>(run.tokens.size()) >= prompt_end;
  }
  // Returns what the run needs of its row of logits, or nothing if it needs all
  // of its rows.
  std::optional<TopNeed> Need(const BatchRun& run) const {
    // A scored prompt needs the logit of a given token in each row, which need
    // not be among the largest.
    if (run.all_logits || request.logprobs > kMostTop) return std::nullopt;
    if (!GivesToken(run)) return TopNeed{};
    std::optional<TopNeed> need = Sampler(request.sampling).Need();
    if (need) need->most = std::max<int64_t>(need->most, request.logprobs);
    return need;
  }
  void Emit(const std::string& text) {
    if (text.empty()) return;
    result.text += text;
    if (request.on_text) request.on_text(text);
  }
};

Scheduler::Scheduler(Leader& leader, const Tokenizer& tokenizer,
                     SchedulerLimits limits)
    : leader_(leader), tokenizer_(tokenizer), limits_(limits) {}

Scheduler::~Scheduler() = default;

absl::StatusOr<int> Scheduler::Open() {
  for (int slot = 0; slot < limits_.slots; ++slot) {
    if (sequences_.contains(slot)) continue;
    sequences_[slot] = std::make_unique<Sequence>();
    sequences_[slot]->slot = slot;
    return slot;
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "all ", limits_.slots, " sequences are in use (max_sequences)"));
}

void Scheduler::Close(int slot) {
  leader_.Forget(slot);
  sequences_.erase(slot);
}

bool Scheduler::Busy(int slot) const { return sequences_.at(slot)->busy; }

const GenerationResult& Scheduler::Result(int slot) const {
  return sequences_.at(slot)->result;
}

absl::Status Scheduler::Submit(int slot, GenerationRequest request) {
  Sequence& sequence = *sequences_.at(slot);
  SUBGEN_CHECK(!sequence.busy);
  const int64_t length = request.prompt.size();
  if (length == 0) {
    return absl::InvalidArgumentError("the prompt is empty: it has no token");
  }
  // A prompt that is refused here has touched nothing: its slot stays as it
  // was.
  if (!LeavesRoom(length, limits_.context_tokens)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", length, " tokens and the context ",
                     limits_.context_tokens, ": at most ",
                     limits_.context_tokens - 1, " fit (context_tokens)"));
  }
  for (const int token : request.prompt) {
    if (token < 0 || token >= tokenizer_.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("token ", token, " of the prompt is not in 0..",
                       tokenizer_.size() - 1));
    }
  }
  // What is cached must be a prefix of the prompt, and one token must be left
  // to read, for its logits. A prompt that is scored is read from its
  // beginning, as no logits are kept.
  const auto cached = sequence.tokens.begin() + sequence.cached;
  if (sequence.cached >= length || request.score_prompt ||
      !std::equal(sequence.tokens.begin(), cached, request.prompt.begin())) {
    leader_.Forget(slot);
    sequence.cached = 0;
  }
  sequence.tokens = request.prompt;
  sequence.prompt_end = length;
  sequence.busy = true;
  sequence.result = {};
  sequence.result.times.prefill_tokens = length - sequence.cached;
  sequence.characters = {};
  sequence.stops = StopStrings(request.stop);
  sequence.request = std::move(request);
  return absl::OkStatus();
}

void Scheduler::Cancel(int slot) {
  Sequence& sequence = *sequences_.at(slot);
  if (sequence.busy) Finish(sequence, "cancelled");
}

BatchRun Scheduler::NextRun(Sequence& sequence, int64_t room) const {
  const int64_t left =
      static_cast<int64_t>(sequence.tokens.size()) - sequence.cached;
  const auto first = sequence.tokens.begin() + sequence.cached;
  BatchRun run;
  run.slot = sequence.slot;
  run.position = sequence.cached;
  run.tokens.assign(first, first + std::min(left, room));
  run.ends_prompt = sequence.reading_prompt() &&
                    sequence.cached + static_cast<int64_t>(run.tokens.size()) ==
                        sequence.prompt_end;
  run.all_logits = sequence.request.score_prompt && sequence.reading_prompt();
  return run;
}

Scheduler::StepOutcome Scheduler::Forward(const Batch& batch,
                                          Vector<Sequence* const> running) {
  TopRequest request;
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::optional<TopNeed> need = running[i]->Need(batch[i]);
    // A step has one outcome for all: where one run needs whole rows, all get
    // them.
    if (!need) return leader_.Forward(batch);
    request.most = std::max(request.most, need->most);
    request.scales.push_back(need->scale);
  }
  std::vector<TopToken> tokens;
  for (RowTop& top : leader_.ForwardTop(batch, request)) {
    const size_t i = tokens.size();
    const Sequence& sequence = *running[i];
    std::optional<int> token = 0;
    if (sequence.GivesToken(batch[i])) {
      token = Sampler(sequence.request.sampling)
                  .SampleTop(top, sequence.tokens,
                             sequence.cached + batch[i].tokens.size());
    }
    // The step has been made, so its logits are still there; only they are
    // fetched now.
    if (!token) return leader_.Logits();
    tokens.push_back({std::move(top), *token});
  }
  return tokens;
}

absl::Status Scheduler::Step() {
  Batch batch;
  std::vector<Sequence*> running;
  int64_t room = limits_.max_batch;
  // Sequences that decode come first: a long prompt never stalls them.
  for (const bool prompts : {false, true}) {
    for (auto& [slot, sequence] : sequences_) {
      if (!sequence->busy || sequence->reading_prompt() != prompts) continue;
      if (room == 0) break;
      batch.push_back(NextRun(*sequence, room));
      room -= batch.back().tokens.size();
      running.push_back(sequence.get());
    }
  }
  if (batch.empty()) return absl::OkStatus();

  const double communication = leader_.communication_seconds();
  const auto start = std::chrono::steady_clock::now();
  const StepOutcome outcome = Forward(batch, running);
  const std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  int64_t row = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    GenerationTimes& times = running[i]->result.times;
    if (running[i]->reading_prompt()) {
      // The step is shared, so each sequence counts all of its time.
      times.prefill_seconds += spent.count();
    } else {
      times.decode_seconds += spent.count();
      times.decode_tokens += 1;
      times.decode_communication_seconds +=
          leader_.communication_seconds() - communication;
    }
    const int64_t rows = batch[i].all_logits ? batch[i].tokens.size() : 1;
    row += rows;
    RETURN_IF_ERROR(Take(*running[i], batch[i], outcome, row - 1));
  }
  return absl::OkStatus();
}

// Takes the step's outcome for one sequence: its last row gives a token, unless
// more of the prompt is to come.
absl::Status Scheduler::Take(Sequence& sequence, const BatchRun& run,
                             const StepOutcome& outcome, int64_t row) {
  const int64_t count = run.tokens.size();
  const auto* const logits = std::get_if<Matrix<const float>>(&outcome);
  if (run.all_logits) {
    Score(sequence, run, logits->Rows(row + 1 - count, count));
  }
  const bool gives_token = sequence.GivesToken(run);
  sequence.cached += count;
  const GenerationRequest& request = sequence.request;
  if (request.on_prefill && sequence.cached <= sequence.prompt_end) {
    request.on_prefill(sequence.cached, sequence.prompt_end);
  }
  if (!gives_token) return absl::OkStatus();

  const int best = request.logprobs;
  auto& top_logits = sequence.result.top_logits;
  if (logits == nullptr) {
    const TopToken& given = std::get<std::vector<TopToken>>(outcome)[row];
    if (best > 0) top_logits.push_back(TopLogits(given.top, best));
    Accept(sequence, given.token);
    return absl::OkStatus();
  }
  const Vector<const float> last = logits->row(row);
  if (best > 0) top_logits.push_back(TopLogits(last, best));
  ASSIGN_OR_RETURN(
      const int token,
      Sampler(request.sampling).Sample(last, sequence.tokens, sequence.cached));
  Accept(sequence, token);
  return absl::OkStatus();
}

void Scheduler::Score(Sequence& sequence, const BatchRun& run,
                      Matrix<const float> logits) const {
  for (size_t i = 0; i < run.tokens.size(); ++i) {
    const int64_t next = run.position + static_cast<int64_t>(i) + 1;
    if (next >= sequence.prompt_end) break;
    sequence.result.prompt_nll.push_back(
        NegativeLogLikelihood(logits.row(i), sequence.tokens[next]));
  }
}

void Scheduler::Accept(Sequence& sequence, int token) {
  sequence.tokens.push_back(token);
  GenerationResult& result = sequence.result;
  result.tokens.push_back(token);
  if (tokenizer_.EndsGeneration(token)) return Finish(sequence, "end_of_turn");
  // A token may end within a character, and text may be the beginning of a stop
  // string; both are held back until they are certain.
  sequence.Emit(sequence.stops.Push(
      sequence.characters.Push(tokenizer_.Decode(token, false))));
  if (sequence.stops.found()) return Finish(sequence, "stop");
  if (static_cast<int>(result.tokens.size()) >= sequence.request.max_tokens) {
    return Finish(sequence, "length");
  }
  if (static_cast<int64_t>(sequence.tokens.size()) >= limits_.context_tokens) {
    return Finish(sequence, "context");
  }
}

void Scheduler::Finish(Sequence& sequence, const std::string& reason) {
  // What was held back is text after all, unless a stop string was met.
  if (!sequence.stops.found()) {
    sequence.Emit(sequence.stops.Push(sequence.characters.Finish()));
    sequence.Emit(sequence.stops.Finish());
  }
  sequence.result.finish_reason = reason;
  sequence.busy = false;
}

absl::StatusOr<GenerationResult> Scheduler::Generate(
    int slot, GenerationRequest request) {
  RETURN_IF_ERROR(Submit(slot, std::move(request)));
  while (Busy(slot)) RETURN_IF_ERROR(Step());
  return Result(slot);
}

}  // namespace subgen
