// This is a cache policy around another one, for those that measure or probe.
// Each call goes on to the inner policy unless it is overridden.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/cache/cache_policy.h"

namespace subgen {

class ForwardingPolicy : public CachePolicy {
 public:
  explicit ForwardingPolicy(std::unique_ptr<CachePolicy> inner)
      : inner_(std::move(inner)) {}

  Needs needs() const override { return inner_->needs(); }
  int64_t Dropped(int slot) const override { return inner_->Dropped(slot); }
  void Attend(const LayerStep& step, const SoftmaxPartials& out) override {
    inner_->Attend(step, out);
  }
  void Observe(const LayerStep& step,
               Vector<const float> log_partition) override {
    inner_->Observe(step, log_partition);
  }
  void Append(const LayerStep& step) override { inner_->Append(step); }
  void EndStep() override { inner_->EndStep(); }
  void Forget(int slot) override { inner_->Forget(slot); }
  CacheStats Stats(int slot) const override { return inner_->Stats(slot); }
  std::string Save(int slot) const override { return inner_->Save(slot); }
  absl::Status Load(int slot, absl::string_view saved) override {
    return inner_->Load(slot, saved);
  }

 protected:
  CachePolicy& inner() { return *inner_; }

 private:
  const std::unique_ptr<CachePolicy> inner_;
};

}  // namespace subgen
