// Forty runs (policies x modes x formats x ranks) are compared, whose logits
// and numbers of rows stay, bit for bit, those that tests/golden/same_runs.json
// was made from: that holds while the inside of the engine is rebuilt.
// SUBGEN_WRITE_SAME_RUNS writes the file anew. Bits depend on the C library and
// on the processor's instructions, so elsewhere than where the file was made
// the test skips.
#include <gnu/libc-version.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "kernels/base/draws.h"
#include "kernels/base/status_macros.h"
#include "kernels/cpu/tiles/instruction_sets.h"
#include "tests/support/small_cache.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

constexpr char kLibrary[] = "2.36";  // where the file was made
constexpr char kPath[] = SUBGEN_SOURCE_DIR "/tests/golden/same_runs.json";

struct EngineRun {
  std::string name;
  EngineConfig config;
  int ranks = 1;
};

// This is FNV-1a of bits.
class Digest {
 public:
  template <class T>
  void Add(const T& number) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &number, sizeof(T));
    for (const unsigned char byte : bytes) {
      state_ = (state_ ^ byte) * 0x100000001b3;
    }
  }
  std::string Hex() const {
    return absl::StrCat(absl::Hex(state_, absl::kZeroPad16));
  }

 private:
  uint64_t state_ = 0xcbf29ce484222325;
};

EngineRun MakeRun(const std::string& backend, const std::string& policy,
                  const std::string& format, const std::string& when) {
  EngineRun run;
  run.name = absl::StrCat(backend, " ", policy, " ", format, " ", when);
  run.config.backend = backend;
  run.config.cpu.instruction_set = "avx2";
  run.config.prefill_chunk = 48;
  run.config.max_sequences = 2;
  run.config.ranks.token_block = 4;
  run.config.cache = SmallCache(policy, format);
  run.config.cache.when = when;
  return run;
}

EngineRun OverRanks(EngineRun run, int head_shards, int token_shards) {
  absl::StrAppend(&run.name, " ", head_shards, "x", token_shards);
  run.ranks = head_shards * token_shards;
  run.config.ranks.head_shards = head_shards;
  run.config.ranks.token_shards = token_shards;
  return run;
}

EngineRun Streaming(EngineRun run, int samples) {
  absl::StrAppend(&run.name, " streaming ", samples);
  run.config.cache.subgen.mode = "streaming";
  run.config.cache.subgen.samples_per_cluster = samples;
  return run;
}

EngineRun Paper(EngineRun run) {
  absl::StrAppend(&run.name, " paper");
  SubgenConfig& subgen = run.config.cache.subgen;
  subgen.metric = "key";
  subgen.distinctiveness_exponent = 0;
  subgen.count_exponent = 1.0;
  run.config.cache.head_budgets = "equal";
  return run;
}

std::vector<EngineRun> AllRuns() {
  std::vector<EngineRun> runs;
  for (const char* backend : {"reference", "cpu"}) {
    for (const char* policy :
         {"exact", "window", "heavy_hitter", "uniform", "key_diff", "subgen"}) {
      runs.push_back(MakeRun(backend, policy, "f32", "stream"));
    }
    for (const char* policy : {"heavy_hitter", "key_diff", "subgen"}) {
      runs.push_back(MakeRun(backend, policy, "bf16", "once"));
    }
    runs.push_back(MakeRun(backend, "snap_kv", "bf16", "once"));
    runs.push_back(MakeRun(backend, "kivi", "f16", "stream"));
    runs.back().config.cache.kivi.exact_tokens = 16;
    for (const char* format : {"q8", "q4"}) {
      runs.push_back(MakeRun(backend, "subgen", format, "stream"));
    }
    runs.push_back(MakeRun(backend, "heavy_hitter", "q4", "stream"));
    runs.push_back(Streaming(MakeRun(backend, "subgen", "bf16", "stream"), 1));
    runs.push_back(Streaming(MakeRun(backend, "subgen", "f32", "stream"), 4));
    runs.push_back(Paper(MakeRun(backend, "subgen", "bf16", "stream")));
    runs.push_back(
        OverRanks(MakeRun(backend, "subgen", "bf16", "stream"), 3, 1));
    runs.push_back(OverRanks(MakeRun(backend, "subgen", "q8", "stream"), 1, 2));
    runs.push_back(
        OverRanks(MakeRun(backend, "heavy_hitter", "f32", "stream"), 2, 2));
  }
  return runs;
}

std::vector<int> Tokens(int slot, int64_t position, int count) {
  std::vector<int> tokens;
  for (int i = 0; i < count; ++i) {
    Draws draws(RandomPlace(7, slot, 0), position + i);
    tokens.push_back(static_cast<int>(draws.Next() * 256));
  }
  return tokens;
}

// Drives two sequences: prompts in chunks, then one token each at a time.
void Drive(Leader& leader, Digest* digest) {
  int64_t positions[2] = {0, 0};
  const auto step = [&](std::vector<int> counts, bool ends) {
    Batch batch;
    for (int slot = 0; slot < 2; ++slot) {
      if (counts[slot] == 0) continue;
      batch.push_back({slot, positions[slot],
                       Tokens(slot, positions[slot], counts[slot]), ends,
                       false});
      positions[slot] += counts[slot];
    }
    const Matrix<const float> logits = leader.Forward(batch);
    for (const float logit : Numbers(logits)) digest->Add(logit);
  };
  for (int chunk = 0; chunk < 3; ++chunk) step({40, 0}, false);
  step({48, 0}, true);
  step({0, 48}, true);
  for (int i = 0; i < 20; ++i) step({1, 1}, false);
  for (int slot = 0; slot < 2; ++slot) {
    const RankTotals totals = leader.Totals(slot);
    for (const int64_t number : {totals.tokens, totals.cache_rows}) {
      digest->Add(number);
    }
  }
}

absl::StatusOr<std::string> DigestOf(const EngineRun& run) {
  Digest digest;
  RETURN_IF_ERROR(RunThreadRanks(
      run.ranks, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        ASSIGN_OR_RETURN(const Model model, LoadModel(run.config));
        ASSIGN_OR_RETURN(auto engine, Engine::Make(run.config, model, {256, 1},
                                                   std::move(world)));
        return engine->Run([&](Engine& leading) {
          Drive(leading.leader(), &digest);
          return absl::OkStatus();
        });
      }));
  return digest.Hex();
}

TEST(SameRunsTest, GiveTheBitsTheyGave) {
  if (std::string(gnu_get_libc_version()) != kLibrary) {
    GTEST_SKIP() << "the digests are of glibc " << kLibrary;
  }
  if (!cpu::UseInstructionSet("avx2").ok()) {
    GTEST_SKIP() << "the digests are of a processor with AVX2";
  }
  ToyModel toy;
  toy.head_dim = 32;  // a block of rows of few bits
  const std::string path = WriteToyModel(toy, "same_runs.gguf");
  nlohmann::json expected = nlohmann::json::object();
  nlohmann::json digests = expected;
  if (std::ifstream file(kPath); file) file >> expected;
  std::vector<EngineRun> runs = AllRuns();
  ASSERT_EQ(runs.size(), 40u);
  for (EngineRun& run : runs) {
    run.config.model = path;
    const absl::StatusOr<std::string> digest = DigestOf(run);
    ASSERT_TRUE(digest.ok()) << run.name << ": " << digest.status();
    EXPECT_EQ(digests.count(run.name), 0u) << run.name;
    digests[run.name] = *digest;
    EXPECT_EQ(expected.value(run.name, ""), *digest) << run.name;
  }
  ASSERT_TRUE(cpu::UseInstructionSet("auto").ok());
  if (std::getenv("SUBGEN_WRITE_SAME_RUNS") != nullptr) {
    std::ofstream(kPath) << digests.dump(1) << "\n";
  }
}

}  // namespace
}  // namespace subgen
