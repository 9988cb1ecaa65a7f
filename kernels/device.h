// What a device is beside its arithmetic: its name, its memory and how it is
// waited for. The defaults are those of a device that works on host memory and
// whose operations have ended when they return.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/memory/mirror.h"
#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"

namespace subgen {

class Device {
 public:
  virtual ~Device() = default;

  virtual absl::string_view name() const = 0;
  // A line for the user on how it runs; empty: as it should.
  virtual std::string note() const { return ""; }

  // What buffers are made with whose contents stay on the device between
  // operations; null where operations work on host memory itself. Host code
  // that writes or reads such buffers says so, by the functions below. A device
  // with a mirror has a queue, on which operations wait to be run.
  virtual Mirror* mirror() { return nullptr; }

  // Everything that was asked for is done when it returns: for callers that
  // measure time.
  virtual void Wait() {}

  // The matrix will be read again and again and stays as it is for as long as
  // the device lives, which may take a copy, in its own memory or layout. An
  // error where there is no room.
  virtual absl::Status KeepWeight(const WeightMatrix&) {
    return absl::OkStatus();
  }
  // Embed will read this table again and again, of which the same holds. A
  // device with memory of its own may take a copy, where there is room.
  virtual void KeepTable(const WeightMatrix&) {}
};

// Tells the device's mirror, if it has one, that host code wrote this memory,
// or is about to read it.
template <class T>
void WrittenByHost(Device& device, Vector<T> memory) {
  if (Mirror* mirror = device.mirror()) {
    mirror->WrittenByHost(memory.data(), memory.size_bytes());
  }
}
template <class T>
void ReadByHost(Device& device, Vector<T> memory) {
  if (Mirror* mirror = device.mirror()) {
    mirror->ReadByHost(memory.data(), memory.size_bytes());
  }
}

}  // namespace subgen
