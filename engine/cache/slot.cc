#include "engine/cache/slot.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr uint64_t kMagic = 0x33304e4547425553;  // "SUBGEN03"

absl::Status CheckHeader(const std::string& fingerprint, ByteReader* in) {
  uint64_t magic = 0, length = 0;
  RETURN_IF_ERROR(in->Get(&magic));
  RETURN_IF_ERROR(CheckSaved(magic == kMagic, "the first word"));
  RETURN_IF_ERROR(in->Get(&length));
  // The length is bounded before memory is taken, as nobody vouches for the
  // bytes.
  RETURN_IF_ERROR(CheckSaved(length < 4096, "the length of the fingerprint"));
  std::string saved(length, ' ');
  RETURN_IF_ERROR(in->GetAll(Vector<char>(saved)));
  if (saved == fingerprint) return absl::OkStatus();
  return absl::FailedPreconditionError(
      // What the bytes say is escaped, so that they cannot write control
      // characters to a terminal.
      absl::StrCat("saved cache: written by '", absl::CHexEscape(saved),
                   "', this is '", fingerprint, "'"));
}

// Limits come first, as a sketch refuses more rows than it may hold.
absl::Status LoadRows(const SlotPlan& plan, ByteReader* in, Slot* slot) {
  RETURN_IF_ERROR(slot->window->Load(in, slot->next_position));
  if (slot->sketch == nullptr) return absl::OkStatus();
  const int64_t entered = slot->window->left();
  const HeadLimits& limits = plan.plan.LimitsAt(entered);
  if (limits.after > 0) slot->sketch->SetLimits(limits.rows, *plan.backend);
  return slot->sketch->Load(in, entered);
}

}  // namespace

Slot NewSlot(const SlotPlan& plan, bool whole) {
  const CacheShape& shape = plan.shape;
  WindowShape window = plan.plan.window;
  if (whole) {
    window.recent_tokens = window.exact_tokens = WindowShape::kEveryToken;
  }
  Slot slot;
  slot.whole = whole;
  slot.window.emplace(window, plan.plan.layout, shape.kv_heads);
  if (plan.make_sketch) {
    // The sketch begins with the limits of an empty sequence; later ones are
    // set as tokens leave the window.
    slot.sketch =
        plan.make_sketch({plan.plan.layout, plan.plan.limits[0].rows, plan.seed,
                          shape.layer, shape.first_kv_head, plan.backend});
  }
  return slot;
}

std::string SaveSlot(const SlotPlan& plan, const Slot& slot) {
  ByteWriter out;
  out.Put(kMagic);
  out.Put(uint64_t{plan.fingerprint.size()});
  out.PutAll(Vector<const char>(plan.fingerprint));
  out.Put(slot.next_position);
  out.Put(static_cast<uint8_t>(slot.whole));
  if (slot.window) slot.window->Save(&out);
  if (slot.sketch != nullptr) slot.sketch->Save(&out);
  return std::move(out).Take();
}

absl::StatusOr<Slot> LoadSlot(const SlotPlan& plan, absl::string_view saved) {
  ByteReader in(saved);
  RETURN_IF_ERROR(CheckHeader(plan.fingerprint, &in));
  int64_t next = 0;
  RETURN_IF_ERROR(in.Get(&next));
  RETURN_IF_ERROR(CheckSaved(next >= 0 && next <= plan.shape.context_tokens,
                             "the number of tokens"));
  uint8_t whole = 0;
  RETURN_IF_ERROR(in.Get(&whole));
  // Only a cache that keeps prompts whole can go on with such a slot.
  RETURN_IF_ERROR(CheckSaved(whole == 0 || (whole == 1 && plan.once),
                             "the state of the prompt"));
  Slot slot;
  if (next > 0) slot = NewSlot(plan, whole == 1);
  slot.next_position = next;
  if (next > 0) RETURN_IF_ERROR(LoadRows(plan, &in, &slot));
  RETURN_IF_ERROR(CheckSaved(in.left() == 0, "what follows the end"));
  return slot;
}

}  // namespace subgen
