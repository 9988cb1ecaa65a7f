#include "engine/decode/lockstep.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"

namespace subgen {
namespace {

enum class Command : int64_t { kForward = 1, kForget, kTotals, kStop };

// Integers in a row; every message is one of these.
class Writer {
 public:
  void Put(int64_t number) {
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}
  // False at the end of the message.
  bool Get(int64_t* number) {
    if (bytes_.size() < sizeof(*number)) return false;
    std::memcpy(number, bytes_.data(), sizeof(*number));
    bytes_.remove_prefix(sizeof(*number));
    return true;
  }
  absl::string_view rest() const { return bytes_; }

 private:
  absl::string_view bytes_;
};

double CommunicationSeconds(const RankGrid& grid) {
  return grid.world->stats().seconds + grid.tokens->stats().seconds;
}

RankTotals GatherTotals(const Transformer& transformer, RankGrid& grid,
                        int slot) {
  const CacheUse use = transformer.Use(slot);
  const RankTotals mine{use.bytes, use.exact_bytes, use.rows,
                        transformer.weight_bytes()};
  RankTotals sum;
  for (const RankTotals& rank : GatherFromRanks(*grid.world, mine)) {
    sum.cache_bytes += rank.cache_bytes;
    sum.exact_cache_bytes += rank.exact_cache_bytes;
    sum.cache_rows += rank.cache_rows;
    sum.weight_bytes += rank.weight_bytes;
  }
  return sum;
}

}  // namespace

std::string EncodeBatch(const Batch& batch) {
  Writer writer;
  writer.Put(batch.size());
  for (const BatchRun& run : batch) {
    writer.Put(run.slot);
    writer.Put(run.position);
    writer.Put(run.ends_prompt | run.all_logits << 1);
    writer.Put(run.tokens.size());
    for (const int token : run.tokens) writer.Put(token);
  }
  return writer.Take();
}

absl::StatusOr<Batch> DecodeBatch(absl::string_view bytes) {
  const absl::Status damaged =
      absl::DataLossError("a step descriptor is damaged");
  Reader reader(bytes);
  int64_t runs = 0;
  if (!reader.Get(&runs)) return damaged;
  Batch batch;
  for (int64_t i = 0; i < runs; ++i) {
    int64_t slot, position, flags, count;
    if (!reader.Get(&slot) || !reader.Get(&position) || !reader.Get(&flags) ||
        !reader.Get(&count) || count < 1 ||
        count > static_cast<int64_t>(reader.rest().size() / 8)) {
      return damaged;
    }
    BatchRun run{static_cast<int>(slot),
                 position,
                 {},
                 (flags & 1) != 0,
                 (flags & 2) != 0};
    for (int64_t token; count > 0 && reader.Get(&token); --count) {
      run.tokens.push_back(static_cast<int>(token));
    }
    batch.push_back(std::move(run));
  }
  if (!reader.rest().empty()) return damaged;
  return batch;
}

void Leader::Tell(const std::string& message) {
  Writer header;
  header.Put(++step_);
  BroadcastString(*grid_.world, header.Take() + message, 0);
}

Matrix<const float> Leader::Forward(const Batch& batch) {
  deadline_.Arm(absl::StrCat("step ", step_ + 1));
  Writer command;
  command.Put(static_cast<int64_t>(Command::kForward));
  Tell(command.Take() + EncodeBatch(batch));
  const Matrix<const float> logits = transformer_.Forward(batch);
  deadline_.Disarm();
  return logits;
}

void Leader::Forget(int slot) {
  Writer command;
  command.Put(static_cast<int64_t>(Command::kForget));
  command.Put(slot);
  Tell(command.Take());
  transformer_.Forget(slot);
}

RankTotals Leader::Totals(int slot) {
  Writer command;
  command.Put(static_cast<int64_t>(Command::kTotals));
  command.Put(slot);
  Tell(command.Take());
  return GatherTotals(transformer_, grid_, slot);
}

void Leader::Stop() {
  Writer command;
  command.Put(static_cast<int64_t>(Command::kStop));
  Tell(command.Take());
}

double Leader::communication_seconds() const {
  return CommunicationSeconds(grid_);
}

void Follow(Transformer& transformer, RankGrid& grid, StepDeadline& deadline) {
  for (int64_t expected = 1;; ++expected) {
    const std::string message = BroadcastString(*grid.world, "", 0);
    Reader reader(message);
    int64_t step = 0, command = 0, slot = 0;
    SUBGEN_CHECK(reader.Get(&step) && reader.Get(&command) && step == expected,
                 "step ", step, " where ", expected, " is due");
    if (command == static_cast<int64_t>(Command::kStop)) return;
    if (command == static_cast<int64_t>(Command::kForward)) {
      deadline.Arm(absl::StrCat("step ", step));
      const absl::StatusOr<Batch> batch = DecodeBatch(reader.rest());
      SUBGEN_CHECK(batch.ok(), batch.status().ToString());
      transformer.Forward(*batch);
      deadline.Disarm();
      continue;
    }
    SUBGEN_CHECK(reader.Get(&slot));
    if (command == static_cast<int64_t>(Command::kForget)) {
      transformer.Forget(static_cast<int>(slot));
    } else {
      GatherTotals(transformer, grid, static_cast<int>(slot));
    }
  }
}

}  // namespace subgen
