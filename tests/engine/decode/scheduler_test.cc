// The decode loop is tested on toy models, on one rank and on several.
#include "engine/decode/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "engine/decode/lockstep_wire.h"
#include "kernels/base/status_macros.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using testing::HasSubstr;

EngineConfig ToyConfig() {
  EngineConfig config;
  config.model = WriteToyModel({}, "scheduler");
  config.backend = "reference";
  config.cache.policy = "exact";
  config.prefill_chunk = 16;
  config.cache.row_format = "f32";
  return config;
}

// Runs `lead` on rank 0 while the other ranks follow.
absl::Status OnRanks(const EngineConfig& config, int ranks,
                     const std::function<absl::Status(Engine&)>& lead) {
  return RunThreadRanks(
      ranks, [&](std::unique_ptr<Communicator> world) -> absl::Status {
        ASSIGN_OR_RETURN(const Model model, LoadModel(config));
        ASSIGN_OR_RETURN(auto engine, Engine::Make(config, model, {200, 1},
                                                   std::move(world)));
        return engine->Run(lead);
      });
}

std::vector<int> Prompt(int count, int seed = 1) {
  std::vector<int> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * i + 5 * seed) % 256);
  return tokens;
}

GenerationRequest Request(std::vector<int> prompt, int max_tokens) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  return request;
}

GenerationResult GenerateOnRanks(const EngineConfig& config, int ranks,
                                 const GenerationRequest& request) {
  GenerationResult result;
  const absl::Status status =
      OnRanks(config, ranks, [&](Engine& engine) -> absl::Status {
        ASSIGN_OR_RETURN(const int slot, engine.scheduler().Open());
        ASSIGN_OR_RETURN(result, engine.scheduler().Generate(slot, request));
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

TEST(SchedulerTest, ACancelledAnswerGoesOnAsIfItHadNotBeen) {
  const EngineConfig config = ToyConfig();
  const GenerationResult whole =
      GenerateOnRanks(config, 2, Request(Prompt(40), 12));
  ASSERT_EQ(whole.tokens.size(), 12u);
  const absl::Status status =
      OnRanks(config, 2, [&](Engine& engine) -> absl::Status {
        Scheduler& scheduler = engine.scheduler();
        ASSIGN_OR_RETURN(const int slot, scheduler.Open());
        std::vector<int> tokens = Prompt(40);
        // It is cancelled in the prompt, then after some tokens.
        for (const int steps : {1, 7}) {
          RETURN_IF_ERROR(scheduler.Submit(slot, Request(tokens, 100)));
          for (int i = 0; i < steps; ++i) RETURN_IF_ERROR(scheduler.Step());
          scheduler.Cancel(slot);
          EXPECT_FALSE(scheduler.Busy(slot));
          const GenerationResult& cut = scheduler.Result(slot);
          EXPECT_EQ(cut.finish_reason, "cancelled");
          tokens.insert(tokens.end(), cut.tokens.begin(), cut.tokens.end());
        }
        EXPECT_GT(tokens.size(), 40u);
        const int rest = 40 + 12 - static_cast<int>(tokens.size());
        ASSIGN_OR_RETURN(const GenerationResult last,
                         scheduler.Generate(slot, Request(tokens, rest)));
        tokens.insert(tokens.end(), last.tokens.begin(), last.tokens.end());
        EXPECT_EQ(std::vector<int>(tokens.begin() + 40, tokens.end()),
                  whole.tokens);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(SchedulerTest, SameSeedSameTextForAnyNumberOfRanks) {
  const EngineConfig config = ToyConfig();
  GenerationRequest request = Request(Prompt(40), 30);
  request.sampling.temperature = 0.8;
  request.sampling.seed = 7;
  const GenerationResult one = GenerateOnRanks(config, 1, request);
  EXPECT_FALSE(one.tokens.empty());
  for (const int ranks : {2, 3, 4, 6}) {
    EXPECT_EQ(GenerateOnRanks(config, ranks, request).tokens, one.tokens)
        << ranks;
  }
}

// From the largest logits alone, wherever the settings allow it, the tokens are
// those of whole rows, which more log-probabilities than can be had of the
// largest ask for.
TEST(SchedulerTest, TheLargestLogitsGiveTheTokensOfWholeRows) {
  const EngineConfig config = ToyConfig();
  std::vector<SamplingConfig> settings(7);
  for (size_t i = 1; i < settings.size(); ++i) settings[i].temperature = 1.3;
  settings[2].top_k = 20;
  settings[3].top_p = 0.6;
  settings[4].min_p = 0.2;
  settings[5].top_k = 40;
  settings[5].repetition_penalty = 1.4;
  settings[6].top_k = 30;
  settings[6].top_p = 0.8;
  settings[6].min_p = 0.05;
  for (size_t i = 0; i < settings.size(); ++i) {
    GenerationRequest request = Request(Prompt(40), 12);
    request.sampling = settings[i];
    request.logprobs = kMostTop + 1;
    const GenerationResult whole = GenerateOnRanks(config, 1, request);
    ASSERT_GE(whole.tokens.size(), 5u);
    request.logprobs = 4;
    for (const int ranks : {1, 3}) {
      const GenerationResult top = GenerateOnRanks(config, ranks, request);
      EXPECT_EQ(top.tokens, whole.tokens) << i << ", ranks " << ranks;
      ASSERT_EQ(top.top_logits.size(), top.tokens.size());
      for (size_t j = 0; j < top.tokens.size(); ++j) {
        ASSERT_EQ(top.top_logits[j].size(), 4u);
        for (int best = 0; best < 4; ++best) {
          EXPECT_EQ(top.top_logits[j][best].token,
                    whole.top_logits[j][best].token);
        }
      }
    }
  }
}

TEST(SchedulerTest, SequencesTogetherGiveWhatEachGivesAlone) {
  EngineConfig config = ToyConfig();
  const auto first = GenerateOnRanks(config, 1, Request(Prompt(50, 1), 12));
  const auto second = GenerateOnRanks(config, 1, Request(Prompt(9, 2), 20));
  config.max_sequences = 2;
  const absl::Status status =
      OnRanks(config, 2, [&](Engine& engine) -> absl::Status {
        Scheduler& scheduler = engine.scheduler();
        ASSIGN_OR_RETURN(const int a, scheduler.Open());
        ASSIGN_OR_RETURN(const int b, scheduler.Open());
        EXPECT_EQ(scheduler.Open().status().code(),
                  absl::StatusCode::kResourceExhausted);
        RETURN_IF_ERROR(scheduler.Submit(a, Request(Prompt(50, 1), 12)));
        RETURN_IF_ERROR(scheduler.Submit(b, Request(Prompt(9, 2), 20)));
        while (scheduler.Busy(a) || scheduler.Busy(b)) {
          RETURN_IF_ERROR(scheduler.Step());
        }
        EXPECT_EQ(scheduler.Result(a).tokens, first.tokens);
        EXPECT_EQ(scheduler.Result(b).tokens, second.tokens);
        scheduler.Close(a);
        return scheduler.Open().status();
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(SchedulerTest, AConversationReadsOnlyWhatIsNew) {
  const EngineConfig config = ToyConfig();
  const absl::Status status =
      OnRanks(config, 1, [&](Engine& engine) -> absl::Status {
        Scheduler& scheduler = engine.scheduler();
        ASSIGN_OR_RETURN(const int slot, scheduler.Open());
        ASSIGN_OR_RETURN(const auto first,
                         scheduler.Generate(slot, Request(Prompt(30), 5)));
        std::vector<int> longer = Prompt(30);
        longer.insert(longer.end(), first.tokens.begin(), first.tokens.end());
        longer.insert(longer.end(), {1, 2, 3});
        ASSIGN_OR_RETURN(const auto second,
                         scheduler.Generate(slot, Request(longer, 5)));
        // The last token of the first answer was never read.
        EXPECT_EQ(second.times.prefill_tokens, 4);
        EXPECT_EQ(second.tokens,
                  GenerateOnRanks(config, 1, Request(longer, 5)).tokens);
        // Another prompt starts from nothing.
        ASSIGN_OR_RETURN(const auto other,
                         scheduler.Generate(slot, Request(Prompt(30, 3), 5)));
        EXPECT_EQ(other.times.prefill_tokens, 30);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(SchedulerTest, EndsAtLengthContextStopStringAndEndOfTurn) {
  const EngineConfig config = ToyConfig();
  EXPECT_EQ(GenerateOnRanks(config, 1, Request(Prompt(10), 3)).finish_reason,
            "length");
  const auto full = GenerateOnRanks(config, 1, Request(Prompt(195), 90));
  EXPECT_EQ(full.finish_reason, "context");
  EXPECT_EQ(full.tokens.size(), 5u);  // of a context of 200

  GenerationRequest request = Request(Prompt(10), 40);
  const auto whole = GenerateOnRanks(config, 1, request);
  ASSERT_GT(whole.text.size(), 6u);
  // This is a stop string of whole characters inside the text.
  size_t first = 3;
  while ((whole.text[first] & 0xC0) == 0x80) ++first;
  const std::string stop = whole.text.substr(first, 2);
  request.stop = {stop};
  std::string streamed;
  request.on_text = [&](absl::string_view text) {
    streamed.append(text.data(), text.size());
  };
  const auto stopped = GenerateOnRanks(config, 1, request);
  EXPECT_EQ(stopped.finish_reason, "stop");
  EXPECT_EQ(stopped.text, whole.text.substr(0, whole.text.find(stop)));
  EXPECT_EQ(streamed, stopped.text);
}

TEST(SchedulerTest, LogprobsAndPromptScores) {
  const EngineConfig config = ToyConfig();
  GenerationRequest request = Request(Prompt(40), 4);
  request.logprobs = 3;
  request.score_prompt = true;
  const auto result = GenerateOnRanks(config, 2, request);
  ASSERT_EQ(result.top_logits.size(), result.tokens.size());
  for (size_t i = 0; i < result.tokens.size(); ++i) {
    ASSERT_EQ(result.top_logits[i].size(), 3u);
    EXPECT_EQ(result.top_logits[i][0].token, result.tokens[i]);  // greedy
  }
  EXPECT_EQ(result.prompt_nll.size(), 39u);
  for (const double nll : result.prompt_nll) EXPECT_GT(nll, 0.0);
}

TEST(SchedulerTest, ImpossibleRequestsAreRefusedByName) {
  const EngineConfig config = ToyConfig();
  const absl::Status status =
      OnRanks(config, 2, [&](Engine& engine) -> absl::Status {
        Scheduler& scheduler = engine.scheduler();
        ASSIGN_OR_RETURN(const int slot, scheduler.Open());
        EXPECT_THAT(
            std::string(scheduler.Submit(slot, Request({}, 5)).message()),
            HasSubstr("prompt is empty"));
        EXPECT_THAT(
            std::string(
                scheduler.Submit(slot, Request(Prompt(200), 5)).message()),
            HasSubstr("200 tokens and the context 200"));
        EXPECT_THAT(
            std::string(scheduler.Submit(slot, Request({3, 259}, 5)).message()),
            HasSubstr("token 259"));
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
}

template <class T>
std::string Encoded(const T& arguments) {
  ByteWriter out;
  Encode(arguments, out);
  return std::move(out).Take();
}

TEST(LockstepTest, ABatchSurvivesTheWire) {
  const Batch batch = {{0, 7, {1, 2, 3}, true, false},
                       {3, int64_t{1} << 40, {9}, false, true}};
  const std::string bytes = Encoded(batch);
  ByteReader in(bytes);
  const Batch back = *DecodeBatch(in);
  EXPECT_EQ(in.left(), 0);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].tokens, batch[0].tokens);
  EXPECT_TRUE(back[0].ends_prompt);
  EXPECT_FALSE(back[0].all_logits);
  EXPECT_EQ(back[1].slot, 3);
  EXPECT_EQ(back[1].position, batch[1].position);
  EXPECT_TRUE(back[1].all_logits);
}

TEST(LockstepTest, ARequestForLogitsSurvivesTheWire) {
  const TopRequest request = {40, {0.0f, 1.25f, 0.7f}};
  const std::string bytes = Encoded(request);
  const std::string more = bytes + "more";
  ByteReader in(more);
  const TopRequest back = *DecodeTopRequest(in);
  EXPECT_EQ(back.most, 40);
  EXPECT_EQ(back.scales, request.scales);
  EXPECT_EQ(in.left(), 4);
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader cut(absl::string_view(bytes).substr(0, size));
    EXPECT_FALSE(DecodeTopRequest(cut).ok()) << size;
  }
}

TEST(LockstepTest, ADamagedBatchIsAnError) {
  const std::string bytes = Encoded(Batch{{0, 7, {1, 2, 3}, true, false}});
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader cut(absl::string_view(bytes).substr(0, size));
    EXPECT_FALSE(DecodeBatch(cut).ok()) << size;
  }
}

}  // namespace
}  // namespace subgen
