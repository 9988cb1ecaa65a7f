#include "engine/config/fields.h"
#include "kernels/cpu/tiles/instruction_set_names.h"

namespace subgen {
namespace {

constexpr double kBillion = 1e9;
// Bounds are doubles for integers, too, so they must be exact as such.
constexpr double kPebibyte = 1125899906842624.0;  // 2^50: exact as a double
constexpr double kMostRanks = 65536;

Legal Any() { return {}; }
Legal OneOf(std::vector<absl::string_view> names) {
  return {.names = std::move(names)};
}
Legal AnyOf(std::vector<int> numbers) {
  return {.numbers = std::move(numbers)};
}
Legal Between(double low, double high) { return {.low = low, .high = high}; }
Legal Above(double low, double high) {
  return {.low = low, .high = high, .above_low = true};
}
Legal StrictlyBetween(double low, double high) {
  return {.low = low, .high = high, .above_low = true, .below_high = true};
}

Legal InstructionSets() {
  // The names are those of the kernels, so a set that is added there is legal
  // here.
  Legal legal = OneOf({"auto"});
  legal.names.insert(legal.names.end(), cpu::kInstructionSetNames.begin(),
                     cpu::kInstructionSetNames.end());
  return legal;
}

// Gives key and target of a field; the key is its path, so they cannot drift
// apart.
#define AT(path) #path, [](EngineConfig & c) -> FieldTarget { return &c.path; }

std::vector<Field> EngineFields() {
  return {
      {AT(model), Any(), "path of a GGUF file; a leading ~/ is HOME"},
      {AT(backend), OneOf({"cpu", "cuda", "reference"}), "what computes"},
      {AT(comm), OneOf({"auto", "none", "threads", "mpi", "nccl"}),
       "how ranks talk; auto: mpi under mpirun or srun, else none; nccl: on "
       "GPUs, under mpirun or srun"},
      {AT(threads), Between(0, 4096),
       "a rank; 0: cores of the host over its ranks"},
      {AT(cpu.instruction_set), InstructionSets(),
       "of the cpu backend; auto: the best of the machine (--version)"},
      {AT(context_tokens), Between(0, kBillion),
       "longest sequence; 0: what the request needs"},
      {AT(prefill_chunk), Between(1, 65536), "prompt tokens in one step"},
      {AT(max_sequences), Between(1, 4096), "sequences at once"},
      {AT(step_deadline_seconds), Above(0, 1e6),
       "a step that takes longer ends the job"},
      {AT(max_tokens), Between(1, kBillion), "tokens of an answer"},
      {AT(stop), Any(), "strings that end an answer"},
      {AT(ranks.count), Between(1, 1024),
       "ranks as threads, with comm: threads"},
      {AT(ranks.head_shards), Between(0, kMostRanks),
       "0: as many as there are KV heads for"},
      {AT(ranks.token_shards), Between(0, kMostRanks),
       "0: the ranks that head shards leave over"},
      {AT(ranks.token_block), Between(1, 1e6),
       "tokens in a row on one token shard"},
      {AT(ranks.merge), OneOf({"all_reduce", "all_gather"}),
       "how token shards join their attention"},
      {AT(ranks.device), OneOf({"own", "shared"}),
       "a GPU for each rank, or the host's first for all (for tests)"},
  };
}

std::vector<Field> CacheFields() {
  return {
      {AT(cache.policy),
       OneOf({"exact", "window", "heavy_hitter", "uniform", "key_diff",
              "snap_kv", "kivi", "subgen"}),
       "which keys and values of the past are kept"},
      {AT(cache.row_format), OneOf({"f32", "bf16", "f16", "q8", "q4", "q3"}),
       "how a key or value is stored; recent ones in 16 bits at least"},
      {AT(cache.rotate), OneOf({"auto", "true", "false"}),
       "transform rows by a Hadamard matrix first; auto: q4 and q3"},
      {AT(cache.when), OneOf({"once", "stream"}),
       "once: keep to the budget after the prompt; stream: always"},
      {AT(cache.budget_tokens), Between(0, kBillion),
       "rows of a KV head; one budget at most, all 0: an eighth of the "
       "context, "
       "at least 1024"},
      {AT(cache.budget_bytes), Between(0, kPebibyte), "bytes of a KV head"},
      {AT(cache.budget_fraction), Between(0, 1), "rows over context tokens"},
      {AT(cache.head_budgets), OneOf({"auto", "equal", "spread"}),
       "how heads share it; spread: by how much their keys vary; auto: spread "
       "for subgen"},
      {AT(cache.sink_tokens), Between(0, kBillion),
       "first tokens, always exact"},
      {AT(cache.recent_fraction), Between(0, 0.9),
       "of the budget's rows, at least, are for the last tokens"},
      {AT(cache.recent_tokens), Between(1, kBillion),
       "last tokens, always exact"},
      {AT(cache.seed), Any(), "of every random choice of a cache"},
      {AT(cache.kivi.bits), AnyOf({2, 4}), "of a number of a row; kivi"},
      {AT(cache.kivi.exact_tokens), Between(1, kBillion),
       "last tokens, in 16 bits at least; kivi"},
      {AT(cache.subgen.mode), OneOf({"k_center", "streaming"}),
       "farthest-first centers, or Algorithm 1 of the paper"},
      {AT(cache.subgen.metric), OneOf({"key", "value", "key_value"}),
       "what centers differ in; key as in the paper; k_center"},
      {AT(cache.subgen.distinctiveness_exponent), Between(0, 8),
       "weight of unusual keys; 0 as in the paper; k_center"},
      {AT(cache.subgen.count_exponent), Between(0, 1),
       "a center counts as (cluster size)^this; k_center"},
      {AT(cache.subgen.radius), Between(0, 1e6),
       "of a cluster of keys; 0: from the budget; streaming"},
      {AT(cache.subgen.samples_per_cluster), Between(1, 1024),
       "t of the paper; streaming"},
      {AT(cache.subgen.value_share), StrictlyBetween(0, 1),
       "budget that holds value samples; streaming"},
  };
}

std::vector<Field> TextFields() {
  return {
      {AT(sampling.temperature), Between(0, 100), "0: greedy"},
      {AT(sampling.top_k), Between(0, kBillion), "0: all tokens"},
      {AT(sampling.top_p), Above(0, 1), "1: all tokens"},
      {AT(sampling.min_p), Between(0, 1), "0: all tokens"},
      {AT(sampling.repetition_penalty), Above(0, 100), "1: none"},
      {AT(sampling.repetition_window), Between(0, 1e6),
       "last tokens that the penalty looks at"},
      {AT(sampling.seed), Any(), "same seed, same text"},
      {AT(rope.scaling), OneOf({"", "none", "linear", "llama3", "yarn"}),
       "empty: as the model file says"},
      {AT(rope.factor), Between(0, 1e6), "0: as the model file says"},
      {AT(rope.frequency_base), Between(0, 1e12), "0: as the model file says"},
      {AT(rope.original_context), Between(0, kBillion),
       "0: as the model file says"},
      {AT(chat.template_name), Any(),
       "chatml, llama2, llama3, mistral, vicuna; empty: from the file"},
      {AT(chat.system), Any(), "system message; empty: the template's"},
      {AT(chat.begin), Any(), "before everything"},
      {AT(chat.system_prefix), Any(), "instead of the template's"},
      {AT(chat.system_suffix), Any(), "instead of the template's"},
      {AT(chat.user_prefix), Any(), "instead of the template's"},
      {AT(chat.user_suffix), Any(), "instead of the template's"},
      {AT(chat.assistant_prefix), Any(), "instead of the template's"},
      {AT(chat.assistant_suffix), Any(), "instead of the template's"},
  };
}

#undef AT

std::vector<Field> AllFields() {
  std::vector<Field> all = EngineFields();
  for (auto part : {CacheFields(), TextFields()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

absl::Span<const Field> Fields() {
  // The table is never destroyed, so that it can be read until the program
  // ends.
  static const std::vector<Field>& table = *new std::vector(AllFields());
  return table;
}

}  // namespace subgen
