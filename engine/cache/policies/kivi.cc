// KIVI (Liu et al., arXiv 2402.02750) keeps every token, in 2 or 4 bits once it
// is not among the last ones; see kivi_block.h. Memory grows with the context.
// It differs from the published code in that sinks stay exact, and that at
// least the last `exact_tokens` always are (there 0 to 127 of 128 keys): tokens
// are quantized 32 at a time, behind them.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/cache/policies/kivi_block.h"
#include "engine/cache/policy_entry.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

class KiviSketch final : public Sketch {
 public:
  // `most_rows` are the rows that a head may come to hold.
  KiviSketch(const SketchPlace& place, int64_t most_rows, int bits)
      : layout_(place.layout),
        backend_(*place.backend),
        block_(layout_.head_dim, bits) {
    for (int head = 0; head < place.kv_heads(); ++head) {
      heads_.push_back(
          {RowStore(layout_, kTokens),
           Column<std::byte>(most_rows / kTokens, block_.bytes(), kGrowth)});
    }
  }

  void Insert(Vector<const LeavingTokens> heads, RowOps&) override {
    for (size_t head = 0; head < heads.size(); ++head) {
      const LeavingTokens& tokens = heads[head];
      tokens.ReadByHost(layout_.mirror);
      RowStore& waiting = heads_[head].waiting;
      for (int64_t i = 0; i < tokens.count(); ++i) {
        waiting.Set(waiting.size(), tokens.row(i));
        // A channel of keys is quantized over 32 tokens, so tokens wait until
        // there are so many.
        if (waiting.size() == kTokens) Quantize(&heads_[head]);
      }
    }
  }

  void AddRows(int head, std::vector<WeightedRows>* out) const override {
    out->push_back(heads_[head].waiting.View());
  }
  void AttendMore(const LayerStep& step, const Chunk& chunk,
                  const SoftmaxPartials& out) const override {
    // No kernel reads these blocks, so they are unpacked in parts: the scratch
    // stays small however long the context is.
    for (int64_t first = 0; first < packed_rows(); first += kMostUnpacked) {
      AttendUnpacked(step, chunk, first, out);
    }
  }

  SketchSize size() const override {
    SketchSize all;
    for (const Head& head : heads_) {
      all.rows += head.blocks.size() * kTokens + head.waiting.size();
      all.bytes += head.waiting.bytes() + head.blocks.bytes();
    }
    return all;
  }
  void Save(ByteWriter* out) const override {
    for (const Head& head : heads_) {
      head.waiting.Save(out);
      head.blocks.Save(out);
    }
  }
  absl::Status Load(ByteReader* in, int64_t entered) override {
    for (Head& head : heads_) {
      RETURN_IF_ERROR(head.waiting.Load(in));
      RETURN_IF_ERROR(head.blocks.Load(in));
      RETURN_IF_ERROR(CheckSaved(head.waiting.size() == entered % kTokens &&
                                     head.blocks.size() == entered / kTokens,
                                 "the number of rows"));
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kTokens = KiviBlock::kTokens;
  static constexpr int64_t kGrowth = 2;          // blocks
  static constexpr int64_t kMostUnpacked = 256;  // rows per head as floats

  struct Head {
    RowStore waiting;  // for a full block
    Column<std::byte> blocks;
  };

  // Tokens leave the window of all heads together, so any head can say this.
  int64_t packed_rows() const {  // the same of each head
    return heads_.empty() ? 0 : heads_[0].blocks.size() * kTokens;
  }
  void Quantize(Head* head) const;
  // Attends to packed rows from `first` on, which are floats meanwhile.
  void AttendUnpacked(const LayerStep& step, const Chunk& chunk, int64_t first,
                      const SoftmaxPartials& out) const;

  RowLayout layout_;
  Backend& backend_;
  KiviBlock block_;
  std::vector<Head> heads_;
};

void KiviSketch::Quantize(Head* head) const {
  const int64_t dim = layout_.head_dim;
  std::vector<float> floats(2 * kTokens * dim);
  const Matrix<float> keys(floats.data(), kTokens, dim);
  const Matrix<float> values(keys.data + kTokens * dim, kTokens, dim);
  for (int64_t i = 0; i < kTokens; ++i) {
    const EncodedRow row = head->waiting.row(i);
    DecodeRow(layout_.format, row.key, keys.row(i));
    DecodeRow(layout_.format, row.value, values.row(i));
  }
  Column<std::byte>& blocks = head->blocks;
  blocks.Resize(blocks.size() + 1);
  block_.Encode(keys, values, blocks.row(blocks.size() - 1));
  head->waiting.Resize(0);
}

void KiviSketch::AttendUnpacked(const LayerStep& step, const Chunk& chunk,
                                int64_t first,
                                const SoftmaxPartials& out) const {
  const int64_t dim = layout_.head_dim;
  const int64_t rows = std::min(kMostUnpacked, packed_rows() - first);
  std::vector<float> unpacked(2 * heads_.size() * rows * dim);
  std::vector<AttentionTask> tasks;
  for (size_t head = 0; head < heads_.size(); ++head) {
    const Matrix<float> keys(&unpacked[2 * head * rows * dim], rows, dim);
    const Matrix<float> values(keys.data + rows * dim, rows, dim);
    for (int64_t i = 0; i < rows; i += kTokens) {
      block_.Decode(heads_[head].blocks.row((first + i) / kTokens),
                    keys.Rows(i, kTokens), values.Rows(i, kTokens));
    }
    const int of_step = static_cast<int>(head);
    AttentionTask task;
    task.queries = step.Queries(chunk, of_step);
    task.rows.keys = FloatRows(keys);
    task.rows.values = FloatRows(values);
    task.group = step.group;
    task.out = step.Partials(out, chunk, of_step);
    tasks.push_back(task);
  }
  backend_.Attend(tasks);
}

absl::Status CheckHeads(const PolicySetup& setup) {
  const int bits = setup.config.kivi.bits;
  const int64_t head_dim = setup.shape.head_dim;
  if (head_dim * bits % 8 == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cache.policy = kivi with cache.kivi.bits = ", bits,
                   ": the model's head_dim = ", head_dim,
                   ": legal is a multiple of ", 8 / bits));
}

PolicyCosts Costs(const CacheConfig& config, const CacheShape& shape,
                  RowLayout layout) {
  // A row takes its numbers in their bits, and as much again for their scales
  // at most.
  return {2 * layout.Exact().row_bytes(),
          2 * 2 * shape.head_dim * config.kivi.bits / 8, 0};
}

SketchMaker Make(const PolicySetup& setup) {
  return [rows = setup.plan.sketch_rows,
          bits = setup.config.kivi.bits](const SketchPlace& place) {
    return std::make_unique<KiviSketch>(place, rows, bits);
  };
}

}  // namespace

extern const PolicyEntry kKivi = {
    .name = "kivi",
    .source = "KIVI (Liu et al., arXiv 2402.02750)",
    .help = "every token, in few bits",
    .bounded = false,
    .quantizes = true,
    .recent_tokens =
        [](const CacheConfig& config) { return config.kivi.exact_tokens; },
    .costs = Costs,
    .check = CheckHeads,
    .settings =
        [](const CacheConfig& config) {
          return absl::StrCat(config.kivi.bits, " bits, ");
        },
    .make = Make};

}  // namespace subgen
