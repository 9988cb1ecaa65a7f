// A device has a name, memory and a way to wait for it, beside its arithmetic.
// The defaults are right for a device that works on host memory and whose
// operations have ended when they return.
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
  // A line that tells the user how the device runs; it is empty when all is as
  // it should be.
  virtual std::string note() const { return ""; }

  // Buffers whose contents stay on the device between operations are made with
  // this mirror. It is null where operations work on host memory itself. Host
  // code that writes or reads such buffers says so by the functions below. A
  // device with a mirror has a queue, on which operations wait to be run.
  virtual Mirror* mirror() { return nullptr; }

  // Returns when everything that was asked for is done. Callers that measure
  // time need it.
  virtual void Wait() {}

  // Announces that the matrix will be read again and again, and stays as it is
  // for as long as the device lives. The device may copy it to its own memory
  // or layout. It is an error if there is no room.
  virtual absl::Status KeepWeight(const WeightMatrix&) {
    return absl::OkStatus();
  }
  // Announces the same for a table that Embed will read. A device with memory
  // of its own may take a copy where there is room.
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
