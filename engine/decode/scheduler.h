// This is the only decode loop. Sequences share each step: one token of every
// sequence that decodes, and chunks of the prompts that are still being read.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/decode/lockstep.h"
#include "engine/decode/sampler.h"
#include "engine/decode/stop_strings.h"
#include "engine/text/tokenizer.h"

namespace subgen {

struct GenerationRequest {
  std::vector<int> prompt;  // the whole sequence so far, >= 1 token
  SamplingConfig sampling;
  int max_tokens = 256;           // >= 1
  std::vector<std::string> stop;  // none empty
  int logprobs = 0;               // best logits to report for each token
  bool score_prompt = false;      // fill prompt_nll
  std::function<void(absl::string_view text)> on_text;
  std::function<void(int64_t done, int64_t total)> on_prefill;
};

// These are wall-clock seconds of the steps that read the prompt, and of the
// others.
struct GenerationTimes {
  int64_t prefill_tokens = 0;  // read in this request, not already cached
  int64_t decode_tokens = 0;   // steps after the prompt
  double prefill_seconds = 0.0;
  double decode_seconds = 0.0;
  double decode_communication_seconds = 0.0;  // of this rank, waiting included
};

struct GenerationResult {
  std::vector<int> tokens;    // the end-of-turn token included
  std::string text;           // without stop strings and control tokens
  std::string finish_reason;  // end_of_turn, stop, length, context,
                              // cancelled
  std::vector<std::vector<TokenLogit>> top_logits;  // [tokens]
  std::vector<double> prompt_nll;  // [prompt - 1] of each token but the first
  GenerationTimes times;
};

struct SchedulerLimits {
  int64_t context_tokens = 0;  // longest sequence
  int64_t max_batch = 0;       // tokens in a step
  int slots = 1;
};

// Tells whether so long a prompt leaves room for the token that is to follow
// it.
inline bool LeavesRoom(int64_t prompt_tokens, int64_t context_tokens) {
  return prompt_tokens < context_tokens;
}

class Scheduler {
 public:
  // Leader and tokenizer outlive the scheduler.
  Scheduler(Leader& leader, const Tokenizer& tokenizer, SchedulerLimits limits);
  ~Scheduler();

  // Returns a slot for a new sequence; ResourceExhaustedError when all are
  // taken.
  absl::StatusOr<int> Open();
  void Close(int slot);

  // Begins to generate after `prompt`. Where the slot's cache holds a prefix of
  // it, only the rest is read. It refuses an empty prompt, a token that is not
  // of the vocabulary, a prompt that leaves no room, and a slot that is still
  // busy.
  absl::Status Submit(int slot, GenerationRequest request);
  // Ends the request of a slot, where one runs, with what there is.
  void Cancel(int slot);
  // Makes one step of everything that runs; does nothing when all is done.
  absl::Status Step();
  bool Busy(int slot) const;
  // Returns the result of the last request; it is complete when the slot is no
  // longer busy.
  const GenerationResult& Result(int slot) const;

  // Submits, and steps until it is done.
  absl::StatusOr<GenerationResult> Generate(int slot,
                                            GenerationRequest request);

 private:
  struct Sequence;
  // This is the largest logits of a row and the token that they give, which has
  // no meaning where the run gives none.
  struct TopToken {
    RowTop top;
    int token = 0;
  };
  // This is what came of a step: of each run a token, where the largest logits
  // decide all of them; else rows of logits.
  using StepOutcome = std::variant<std::vector<TopToken>, Matrix<const float>>;
  BatchRun NextRun(Sequence& sequence, int64_t room) const;
  StepOutcome Forward(const Batch& batch, Vector<Sequence* const> running);
  absl::Status Take(Sequence& sequence, const BatchRun& run,
                    const StepOutcome& outcome, int64_t row);
  void Score(Sequence& sequence, const BatchRun& run,
             Matrix<const float> logits) const;
  void Accept(Sequence& sequence, int token);
  void Finish(Sequence& sequence, const std::string& reason);

  Leader& leader_;
  const Tokenizer& tokenizer_;
  const SchedulerLimits limits_;
  std::map<int, std::unique_ptr<Sequence>> sequences_;  // by slot
};

}  // namespace subgen
