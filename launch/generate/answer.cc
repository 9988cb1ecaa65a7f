#include "launch/generate/answer.h"

#include "kernels/base/status_macros.h"
#include "launch/generate/generation.h"
#include "launch/generate/interrupt.h"
#include "launch/ranks/output.h"
#include "launch/ranks/progress.h"

namespace subgen {

absl::StatusOr<GenerationReport> Answer(const GenerationOptions& options,
                                        Engine& engine, int slot,
                                        std::vector<int> prompt) {
  GenerationReport report;
  report.prompt_tokens = prompt;
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.sampling = options.config.sampling;
  request.max_tokens = options.config.max_tokens;
  request.stop = options.config.stop;
  request.logprobs = options.logprobs;
  request.on_text = [](absl::string_view text) { (void)Print(text); };
  ProgressBar progress("reading the prompt", "tokens");
  request.on_prefill = [&progress](int64_t done, int64_t total) {
    progress.Show(done, total);
  };
  Scheduler& scheduler = engine.scheduler();
  RETURN_IF_ERROR(scheduler.Submit(slot, std::move(request)));
  while (scheduler.Busy(slot)) {
    if (TakeInterrupt() || !OutputStatus().ok()) scheduler.Cancel(slot);
    RETURN_IF_ERROR(scheduler.Step());
  }
  RETURN_IF_ERROR(Print("\n"));
  report.result = scheduler.Result(slot);
  report.totals = engine.leader().Totals(slot);
  report.ranks = engine.world().size();
  report.grid = engine.grid();
  report.cache = engine.cache();
  report.backend = options.config.backend;
  report.note = engine.note();
  return report;
}

}  // namespace subgen
