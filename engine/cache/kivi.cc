// KIVI (Liu et al., arXiv 2402.02750): every token is kept, in 2 or 4 bits once
// it is not among the last ones; see kivi_block.h. Memory grows with the
// context. Differs from the published code in that sinks stay exact, and that
// at least the last `exact_tokens` always are (there 0 to 127 of 128 keys):
// tokens are quantized 32 at a time, behind them.
#include "absl/strings/str_cat.h"
#include "engine/cache/kivi_block.h"
#include "engine/cache/policies.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

class KiviSketch final : public Sketch {
 public:
  // Rows: at most.
  KiviSketch(const SketchPlace& place, int64_t rows, int bits)
      : layout_(place.layout),
        block_(layout_.head_dim, bits),
        waiting_(layout_, KiviBlock::kTokens),
        blocks_(rows / KiviBlock::kTokens, block_.bytes(), kGrowth) {}

  void Insert(const LeavingTokens& tokens, Matrix<const float>) override {
    for (int64_t i = 0; i < tokens.count(); ++i) {
      waiting_.Set(waiting_.size(), tokens.row(i));
      if (waiting_.size() == KiviBlock::kTokens) Quantize();
    }
  }

  void AddRows(std::vector<WeightedRows>* out) const override {
    out->push_back(waiting_.View());
  }
  int64_t packed_rows() const override {
    return blocks_.size() * KiviBlock::kTokens;
  }
  void Unpack(int64_t first, Matrix<float> keys,
              Matrix<float> values) const override {
    constexpr int64_t kTokens = KiviBlock::kTokens;
    for (int64_t i = 0; i < keys.rows; i += kTokens) {
      block_.Decode(blocks_.row((first + i) / kTokens), keys.Rows(i, kTokens),
                    values.Rows(i, kTokens));
    }
  }
  int64_t rows() const override { return packed_rows() + waiting_.size(); }
  ByteUse bytes() const override { return waiting_.bytes() + blocks_.bytes(); }

  void Save(ByteWriter* out) const override {
    waiting_.Save(out);
    blocks_.Save(out);
  }
  absl::Status Load(ByteReader* in, int64_t entered) override {
    RETURN_IF_ERROR(waiting_.Load(in));
    RETURN_IF_ERROR(blocks_.Load(in));
    return CheckSaved(
        waiting_.size() == entered % KiviBlock::kTokens && rows() == entered,
        "the number of rows");
  }

 private:
  static constexpr int64_t kGrowth = 2;  // blocks

  void Quantize() {
    constexpr int64_t kTokens = KiviBlock::kTokens;
    const int64_t dim = layout_.head_dim;
    std::vector<float> floats(2 * kTokens * dim);
    const Matrix<float> keys(floats.data(), kTokens, dim);
    const Matrix<float> values(keys.data + kTokens * dim, kTokens, dim);
    for (int64_t i = 0; i < kTokens; ++i) {
      DecodeRow(layout_.format, waiting_.row(i).key, keys.row(i));
      DecodeRow(layout_.format, waiting_.row(i).value, values.row(i));
    }
    blocks_.Resize(blocks_.size() + 1);
    block_.Encode(keys, values, blocks_.row(blocks_.size() - 1));
    waiting_.Resize(0);
  }

  RowLayout layout_;
  KiviBlock block_;
  RowStore waiting_;  // for a full block
  Column<std::byte> blocks_;
};

absl::Status CheckKivi(const KiviConfig& config, int64_t head_dim) {
  if (config.bits != 2 && config.bits != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.kivi.bits = ", config.bits, ": legal is 2 or 4"));
  }
  if (head_dim * config.bits % 8 == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cache.policy = kivi with cache.kivi.bits = ", config.bits,
                   ": the model's head_dim = ", head_dim,
                   ": legal is a multiple of ", 8 / config.bits));
}

}  // namespace

MadePolicy MakeKivi(const PolicySetup& setup) {
  const int bits = setup.config.kivi.bits;
  RETURN_IF_ERROR(CheckKivi(setup.config.kivi, setup.shape.head_dim));
  SketchPolicyOptions options = setup.Options(absl::StrCat("kivi ", bits));
  options.make_sketch = [rows = setup.plan.sketch_rows,
                         bits](const SketchPlace& place) {
    return std::make_unique<KiviSketch>(place, rows, bits);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
