// Each command is a struct: its arguments, how they travel (Put, Get), what
// every rank does with them (Run), and whether that is a step, which must end
// before the deadline. Leader and followers run the same Run, and both find the
// command's number in one list: so they cannot drift apart.
#include "engine/decode/lockstep.h"

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "engine/decode/lockstep_wire.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

// A step is within the deadline while this lives.
class TimedStep {
 public:
  TimedStep(StepDeadline& deadline, int64_t step) : deadline_(deadline) {
    deadline_.Arm(absl::StrCat("step ", step));
  }
  ~TimedStep() { deadline_.Disarm(); }
  TimedStep(const TimedStep&) = delete;
  TimedStep& operator=(const TimedStep&) = delete;

 private:
  StepDeadline& deadline_;
};

struct ForwardStep {
  static constexpr bool kIsStep = true;
  Batch batch;

  void Put(ByteWriter& out) const { Encode(batch, out); }
  absl::Status Get(ByteReader& in) {
    ASSIGN_OR_RETURN(batch, DecodeBatch(in));
    return absl::OkStatus();
  }
  Matrix<const float> Run(const LockstepRank& rank) const {
    return rank.transformer.Forward(batch);
  }
};

struct ForwardTopStep {
  static constexpr bool kIsStep = true;
  TopRequest request;
  Batch batch;

  void Put(ByteWriter& out) const {
    Encode(request, out);
    Encode(batch, out);
  }
  absl::Status Get(ByteReader& in) {
    ASSIGN_OR_RETURN(request, DecodeTopRequest(in));
    ASSIGN_OR_RETURN(batch, DecodeBatch(in));
    return absl::OkStatus();
  }
  std::vector<RowTop> Run(const LockstepRank& rank) const {
    return rank.transformer.ForwardTop(batch, request);
  }
};

struct LogitsStep {
  static constexpr bool kIsStep = true;

  void Put(ByteWriter&) const {}
  absl::Status Get(ByteReader&) { return absl::OkStatus(); }
  Matrix<const float> Run(const LockstepRank& rank) const {
    return rank.transformer.Logits();
  }
};

struct ForgetSlot {
  static constexpr bool kIsStep = false;
  int slot = 0;

  void Put(ByteWriter& out) const { out.Put(slot); }
  absl::Status Get(ByteReader& in) { return in.Get(&slot); }
  void Run(const LockstepRank& rank) const {
    rank.transformer.caches().Forget(slot);
  }
};

struct GatherTotals {
  static constexpr bool kIsStep = false;
  int slot = 0;

  void Put(ByteWriter& out) const { out.Put(slot); }
  absl::Status Get(ByteReader& in) { return in.Get(&slot); }
  RankTotals Run(const LockstepRank& rank) const;
};

RankTotals GatherTotals::Run(const LockstepRank& rank) const {
  const Transformer& transformer = rank.transformer;
  const CacheUse use = transformer.caches().Use(slot);
  const ModelConfig& model = transformer.config();
  const RankTotals mine{use.tokens,
                        use.bytes.used,
                        use.bytes.reserved,
                        use.exact_bytes,
                        use.rows,
                        0,
                        transformer.weight_bytes()};
  RankTotals sum;
  for (const RankTotals& each : GatherFromRanks(*rank.grid.world, mine)) {
    // Tokens are of the whole sequence on each rank; the rest adds up.
    sum.tokens = each.tokens;
    sum.cache_bytes += each.cache_bytes;
    sum.reserved_bytes += each.reserved_bytes;
    sum.exact_cache_bytes += each.exact_cache_bytes;
    sum.cache_rows += each.cache_rows;
    sum.weight_bytes += each.weight_bytes;
  }
  sum.exact_cache_rows = sum.tokens * model.layers * model.kv_heads;
  return sum;
}

struct StopFollowing {
  static constexpr bool kIsStep = false;

  void Put(ByteWriter&) const {}
  absl::Status Get(ByteReader&) { return absl::OkStatus(); }
  void Run(const LockstepRank&) const {}
};

// Is a follower's part: reads the rest of the message and runs it.
template <class Command>
void Replay(ByteReader& in, int64_t step, const LockstepRank& rank) {
  std::optional<TimedStep> timed;
  if (Command::kIsStep) timed.emplace(rank.deadline, step);
  Command command;
  const absl::Status read = command.Get(in);
  // A follower that does something else than the leader would leave it waiting
  // in a collective, so what it does not understand ends it.
  SUBGEN_CHECK(read.ok(), read.ToString());
  SUBGEN_CHECK(in.left() == 0, "bytes left of message ", step);
  command.Run(rank);
}

// Lists commands by their numbers on the wire.
template <class... Commands>
struct CommandList {
  using ReplayFunction = void (*)(ByteReader&, int64_t, const LockstepRank&);
  static constexpr ReplayFunction kReplay[] = {&Replay<Commands>...};

  template <class Command>
  static constexpr int64_t NumberOf() {
    int64_t number = 0;
    (void)((std::is_same_v<Command, Commands> || (++number, false)) || ...);
    return number;
  }
};
using AllCommands = CommandList<StopFollowing, ForwardStep, ForwardTopStep,
                                LogitsStep, ForgetSlot, GatherTotals>;
constexpr int64_t kStopNumber = AllCommands::NumberOf<StopFollowing>();

}  // namespace

template <class Command>
auto Leader::Tell(const Command& command) {
  ++step_;
  std::optional<TimedStep> timed;
  if (Command::kIsStep) timed.emplace(rank_.deadline, step_);
  ByteWriter message;
  message.Put(step_);
  message.Put(AllCommands::NumberOf<Command>());
  command.Put(message);
  // The deadline runs already: a follower that is gone shows in the broadcast.
  BroadcastString(*rank_.grid.world, std::move(message).Take(), 0);
  return command.Run(rank_);
}

Matrix<const float> Leader::Forward(const Batch& batch) {
  return Tell(ForwardStep{batch});
}

std::vector<RowTop> Leader::ForwardTop(const Batch& batch,
                                       const TopRequest& request) {
  return Tell(ForwardTopStep{request, batch});
}

Matrix<const float> Leader::Logits() { return Tell(LogitsStep{}); }

void Leader::Forget(int slot) { Tell(ForgetSlot{slot}); }

RankTotals Leader::Totals(int slot) { return Tell(GatherTotals{slot}); }

void Leader::Stop() { Tell(StopFollowing{}); }

double Leader::communication_seconds() const {
  const RankGrid& grid = rank_.grid;
  return grid.world->stats().seconds + grid.tokens->stats().seconds;
}

void Follow(const LockstepRank& rank) {
  for (int64_t expected = 1;; ++expected) {
    const std::string message = BroadcastString(*rank.grid.world, "", 0);
    ByteReader in(message);
    int64_t step = 0, command = -1;
    SUBGEN_CHECK(
        // Messages are numbered, so that one that is lost shows at the next
        // one.
        in.Get(&step).ok() && in.Get(&command).ok() && step == expected,
        "step ", step, " where ", expected, " is due");
    SUBGEN_CHECK(command >= 0 && command < std::ssize(AllCommands::kReplay),
                 command);
    AllCommands::kReplay[command](in, step, rank);
    if (command == kStopNumber) return;
  }
}

}  // namespace subgen
