// Steps of many sequences run on the CPU: these test what is asked of the
// backend, and that a sequence's logits are the same bits whatever else is in
// its batch.
#include <gtest/gtest.h>

#include "engine/model/transformer.h"
#include "kernels/base/status_macros.h"
#include "kernels/reference/reference_backend.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

// This is the CPU's backend, counting products and attention.
class CountingBackend final : public ReferenceBackend {
 public:
  absl::string_view name() const override { return "counting"; }
  absl::Status KeepWeight(const WeightMatrix& weight) override {
    return inner_->KeepWeight(weight);
  }
  void Linears(Matrix<const float> input,
               Vector<const LinearProduct> of) override {
    products += of.size();
    inner_->Linears(input, of);
  }
  void Embed(const WeightMatrix& table, Vector<const int> ids,
             Matrix<float> output) override {
    inner_->Embed(table, ids, output);
  }
  void RmsNorm(Matrix<const float> input, Vector<const float> gain,
               float epsilon, Matrix<float> output) override {
    inner_->RmsNorm(input, gain, epsilon, output);
  }
  void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
              int64_t head_dim, Matrix<float> heads) override {
    inner_->Rotate(rotary, positions, head_dim, heads);
  }
  void GatedSilu(Matrix<const float> up, Matrix<float> gate) override {
    inner_->GatedSilu(up, gate);
  }
  void Add(Matrix<const float> x, Matrix<float> accumulator) override {
    inner_->Add(x, accumulator);
  }
  void AddRow(Vector<const float> row, Matrix<float> matrix) override {
    inner_->AddRow(row, matrix);
  }
  void Top(Matrix<const float> rows, Vector<const float> scales,
           Matrix<float> output) override {
    inner_->Top(rows, scales, output);
  }
  void ConvertRows(Vector<const RowCopy> copies) override {
    ++conversions;
    inner_->ConvertRows(copies);
  }
  void Attend(Vector<const AttentionTask> tasks) override {
    ++attentions;
    inner_->Attend(tasks);
  }
  void AccumulateMass(Vector<const AttentionMassTask> tasks) override {
    inner_->AccumulateMass(tasks);
  }
  void Distances(Vector<const DistanceTask> tasks) override {
    inner_->Distances(tasks);
  }
  void InsertCenters(Vector<const CenterTask> tasks) override {
    inner_->InsertCenters(tasks);
  }
  void InsertClusters(Vector<const ClusterTask> tasks) override {
    inner_->InsertClusters(tasks);
  }

  int64_t products = 0, attentions = 0, conversions = 0;

 private:
  const std::unique_ptr<Backend> inner_ = MakeCpuBackend(2);
};

constexpr int kSlots = 5;

// Prompts end before, between and far behind where attention is cut.
int64_t PromptTokens(int slot) { return 7 + 90 * slot; }

int Token(int slot, int64_t position) {
  return static_cast<int>((position * 7 + slot * 31 + position * position) %
                          kToyVocabulary);
}

BatchRun RunOf(int slot, int64_t first, int64_t end) {
  BatchRun run;
  run.slot = slot;
  run.position = first;
  for (int64_t i = first; i < end; ++i) run.tokens.push_back(Token(slot, i));
  run.ends_prompt = end == PromptTokens(slot);
  return run;
}

class BatchStepTest : public testing::TestWithParam<std::string> {
 protected:
  BatchStepTest()
      : file_(*ReadGgufModel(WriteToyModel({}, "batch_step"), {})),
        grid_(MakeGrid(*PlanGrid({}, 1, file_.config.kv_heads),
                       MakeSingleRank())) {
    CacheConfig cache;
    cache.policy = GetParam();
    cache.budget_tokens = GetParam() == "exact" ? 0 : 160;
    cache.sink_tokens = 2;
    cache.recent_tokens = 20;
    cache.recent_fraction = 0.0;
    transformer_ = *Transformer::Make(
        file_, {cache, MergeMethod::kAllReduce, 512, 64, kSlots}, grid_,
        backend_);
  }
  void ReadPrompt(int slot) {
    constexpr int64_t kChunk = 64;
    const int64_t end = PromptTokens(slot);
    for (int64_t first = 0; first < end; first += kChunk) {
      transformer_->Forward(
          {RunOf(slot, first, std::min(end, first + kChunk))});
    }
  }
  // Returns a token of each sequence, the `step`-th after its prompt.
  Batch Tokens(int step) const {
    Batch batch;
    for (int slot = 0; slot < kSlots; ++slot) {
      const int64_t at = PromptTokens(slot) + step;
      batch.push_back(RunOf(slot, at, at + 1));
    }
    return batch;
  }

  const ModelFile file_;
  RankGrid grid_;
  CountingBackend backend_;
  std::unique_ptr<Transformer> transformer_;
};

TEST_P(BatchStepTest, AsksForAttentionOfAllSequencesAtOnce) {
  for (int slot = 0; slot < kSlots; ++slot) ReadPrompt(slot);
  const auto count = [&](const Batch& batch) {
    backend_.products = backend_.attentions = backend_.conversions = 0;
    transformer_->Forward(batch);
  };
  Batch others = Tokens(0);
  const Batch one = {others[0]};
  others.erase(others.begin());
  for (const Batch& batch : {one, others}) {
    count(batch);
    // Weights are read once: Q, K, V, output, gate, up and down of each of two
    // layers, and the unembedding.
    EXPECT_EQ(backend_.products, 2 * 7 + 1);
    EXPECT_EQ(backend_.attentions, 2);
  }
  // Rows go out of all windows together, then in, in each of two layers.
  EXPECT_LE(backend_.conversions, 2 * 2);
}

TEST_P(BatchStepTest, GivesTheSameBitsAsOneByOne) {
  constexpr int kSteps = 30;
  std::vector<std::vector<float>> together, alone;
  const auto keep = [](Matrix<const float> logits, auto* all) {
    for (int64_t i = 0; i < logits.rows; ++i) {
      all->emplace_back(logits.row(i).begin(), logits.row(i).end());
    }
  };
  for (int slot = 0; slot < kSlots; ++slot) ReadPrompt(slot);
  for (int step = 0; step < kSteps; ++step) {
    keep(transformer_->Forward(Tokens(step)), &together);
  }
  for (int slot = 0; slot < kSlots; ++slot) transformer_->caches().Forget(slot);
  for (int slot = 0; slot < kSlots; ++slot) ReadPrompt(slot);
  for (int step = 0; step < kSteps; ++step) {
    for (const BatchRun& run : Tokens(step)) {
      keep(transformer_->Forward({run}), &alone);
    }
  }
  ASSERT_EQ(together.size(), size_t{kSteps * kSlots});
  for (size_t i = 0; i < together.size(); ++i) {
    ASSERT_EQ(together[i], alone[i])
        << "step " << i / kSlots << ", sequence " << i % kSlots;
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, BatchStepTest,
                         testing::Values("exact", "window", "subgen",
                                         "heavy_hitter"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace subgen
