// Save and Load of SketchPolicy: a magic number, the fingerprint of policy,
// settings and shape, the length of the sequence, then each KV head.
#include <limits>
#include <string>

#include "engine/cache/sketch_policy.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr uint64_t kMagic = 0x32304e4547425553;  // "SUBGEN02"

absl::Status CheckHeader(const std::string& fingerprint, ByteReader* in) {
  uint64_t magic = 0, length = 0;
  RETURN_IF_ERROR(in->Get(&magic));
  RETURN_IF_ERROR(CheckSaved(magic == kMagic, "the first word"));
  RETURN_IF_ERROR(in->Get(&length));
  RETURN_IF_ERROR(CheckSaved(length < 4096, "the length of the fingerprint"));
  std::string saved(length, ' ');
  RETURN_IF_ERROR(in->GetAll(Vector<char>(saved)));
  if (saved == fingerprint) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "saved cache: written by '", saved, "', this is '", fingerprint, "'"));
}

}  // namespace

std::string SketchPolicy::Save(int slot) const {
  queue_->Run();
  const Slot& state = slots_.at(slot);
  const std::string& fingerprint = options_.fingerprint;
  ByteWriter out;
  out.Put(kMagic);
  out.Put(uint64_t{fingerprint.size()});
  out.PutAll(Vector<const char>(fingerprint));
  out.Put(state.next_position);
  out.Put(static_cast<uint8_t>(state.whole));
  for (const Head& head : state.heads) {
    head.window.Save(&out);
    if (head.sketch != nullptr) head.sketch->Save(&out);
  }
  return std::move(out).Take();
}

absl::Status SketchPolicy::LoadSlot(absl::string_view saved, Slot* slot) const {
  ByteReader in(saved);
  RETURN_IF_ERROR(CheckHeader(options_.fingerprint, &in));
  int64_t next = 0;
  RETURN_IF_ERROR(in.Get(&next));
  RETURN_IF_ERROR(CheckSaved(next >= 0 && next <= options_.shape.context_tokens,
                             "the number of tokens"));
  uint8_t whole = 0;
  RETURN_IF_ERROR(in.Get(&whole));
  RETURN_IF_ERROR(CheckSaved(whole == 0 || (whole == 1 && options_.once),
                             "the state of the prompt"));
  if (next > 0) *slot = NewSlot(whole == 1);
  slot->next_position = next;
  for (Head& head : slot->heads) {
    RETURN_IF_ERROR(head.window.Load(&in, next));
    if (head.sketch == nullptr) continue;
    const HeadLimits& limits = options_.plan.LimitsAt(head.window.left());
    if (limits.after > 0) {
      head.sketch->SetLimit(limits.rows[&head - slot->heads.data()]);
    }
    RETURN_IF_ERROR(head.sketch->Load(&in, head.window.left()));
  }
  return CheckSaved(in.left() == 0, "what follows the end");
}

absl::Status SketchPolicy::Load(int slot, absl::string_view saved) {
  Forget(slot);
  Slot loaded;
  RETURN_IF_ERROR(LoadSlot(saved, &loaded));
  slots_.at(slot) = std::move(loaded);
  return absl::OkStatus();
}

}  // namespace subgen
