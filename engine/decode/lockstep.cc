#include "engine/decode/lockstep.h"

#include <bit>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "comm/agreement.h"

namespace subgen {
namespace {

enum class Command : int64_t {
  kForward = 1,
  kForwardTop,
  kLogits,
  kForget,
  kTotals,
  kStop
};

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

std::string Message(Command command) {
  Writer writer;
  writer.Put(static_cast<int64_t>(command));
  return writer.Take();
}
std::string Message(Command command, int slot) {
  Writer writer;
  writer.Put(static_cast<int64_t>(command));
  writer.Put(slot);
  return writer.Take();
}

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
  const ModelConfig& model = transformer.config();
  const RankTotals mine{use.tokens,
                        use.bytes.used,
                        use.bytes.reserved,
                        use.exact_bytes,
                        use.rows,
                        0,
                        transformer.weight_bytes()};
  RankTotals sum;
  for (const RankTotals& rank : GatherFromRanks(*grid.world, mine)) {
    sum.tokens = rank.tokens;
    sum.cache_bytes += rank.cache_bytes;
    sum.reserved_bytes += rank.reserved_bytes;
    sum.exact_cache_bytes += rank.exact_cache_bytes;
    sum.cache_rows += rank.cache_rows;
    sum.weight_bytes += rank.weight_bytes;
  }
  sum.exact_cache_rows = sum.tokens * model.layers * model.kv_heads;
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

std::string EncodeTopRequest(const TopRequest& request) {
  Writer writer;
  writer.Put(request.most);
  writer.Put(request.scales.size());
  for (const float scale : request.scales) {
    writer.Put(std::bit_cast<uint32_t>(scale));
  }
  return writer.Take();
}

absl::StatusOr<TopRequest> DecodeTopRequest(absl::string_view* bytes) {
  Reader reader(*bytes);
  TopRequest request;
  int64_t count = 0;
  if (!reader.Get(&request.most) || request.most < 1 ||
      request.most > kMostTop || !reader.Get(&count) || count < 0 ||
      count > static_cast<int64_t>(reader.rest().size() / 8)) {
    return absl::DataLossError("a request for logits is damaged");
  }
  for (int64_t bits; count > 0 && reader.Get(&bits); --count) {
    request.scales.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  *bytes = reader.rest();
  return request;
}

void Leader::Tell(const std::string& message) {
  Writer header;
  header.Put(++step_);
  BroadcastString(*grid_.world, header.Take() + message, 0);
}

Matrix<const float> Leader::Forward(const Batch& batch) {
  deadline_.Arm(absl::StrCat("step ", step_ + 1));
  Tell(Message(Command::kForward) + EncodeBatch(batch));
  const Matrix<const float> logits = transformer_.Forward(batch);
  deadline_.Disarm();
  return logits;
}

std::vector<RowTop> Leader::ForwardTop(const Batch& batch,
                                       const TopRequest& request) {
  deadline_.Arm(absl::StrCat("step ", step_ + 1));
  Tell(Message(Command::kForwardTop) + EncodeTopRequest(request) +
       EncodeBatch(batch));
  std::vector<RowTop> tops = transformer_.ForwardTop(batch, request);
  deadline_.Disarm();
  return tops;
}

Matrix<const float> Leader::Logits() {
  deadline_.Arm(absl::StrCat("step ", step_ + 1));
  Tell(Message(Command::kLogits));
  const Matrix<const float> logits = transformer_.Logits();
  deadline_.Disarm();
  return logits;
}

void Leader::Forget(int slot) {
  Tell(Message(Command::kForget, slot));
  transformer_.Forget(slot);
}

RankTotals Leader::Totals(int slot) {
  Tell(Message(Command::kTotals, slot));
  return GatherTotals(transformer_, grid_, slot);
}

void Leader::Stop() { Tell(Message(Command::kStop)); }

double Leader::communication_seconds() const {
  return CommunicationSeconds(grid_);
}

namespace {

// A step of logits: the rest of the leader's message.
void FollowStep(Command command, absl::string_view bytes,
                Transformer& transformer) {
  if (command == Command::kLogits) {
    transformer.Logits();
    return;
  }
  absl::StatusOr<TopRequest> request = TopRequest{};
  if (command == Command::kForwardTop) request = DecodeTopRequest(&bytes);
  SUBGEN_CHECK(request.ok(), request.status().ToString());
  const absl::StatusOr<Batch> batch = DecodeBatch(bytes);
  SUBGEN_CHECK(batch.ok(), batch.status().ToString());
  if (command == Command::kForwardTop) {
    transformer.ForwardTop(*batch, *request);
  } else {
    transformer.Forward(*batch);
  }
}

}  // namespace

void Follow(Transformer& transformer, RankGrid& grid, StepDeadline& deadline) {
  for (int64_t expected = 1;; ++expected) {
    const std::string message = BroadcastString(*grid.world, "", 0);
    Reader reader(message);
    int64_t step = 0, number = 0, slot = 0;
    SUBGEN_CHECK(reader.Get(&step) && reader.Get(&number) && step == expected,
                 "step ", step, " where ", expected, " is due");
    const auto command = static_cast<Command>(number);
    if (command == Command::kStop) return;
    if (command <= Command::kLogits) {
      deadline.Arm(absl::StrCat("step ", step));
      FollowStep(command, reader.rest(), transformer);
      deadline.Disarm();
      continue;
    }
    SUBGEN_CHECK(reader.Get(&slot));
    if (command == Command::kForget) {
      transformer.Forget(static_cast<int>(slot));
    } else {
      GatherTotals(transformer, grid, static_cast<int>(slot));
    }
  }
}

}  // namespace subgen
