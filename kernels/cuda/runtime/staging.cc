#include "kernels/cuda/runtime/staging.h"

#include <algorithm>
#include <cstring>

namespace subgen::cuda {
namespace {

// Copies rows and packs them.
void CopyRows(const Matrix<uint8_t>& from, uint8_t* to) {
  for (int64_t i = 0; i < from.rows; ++i) {
    std::copy_n(from.row(i).data(), from.cols, to + i * from.cols);
  }
}

}  // namespace

Operation::Operation(Staging* staging) : staging_(*staging) {
  SUBGEN_CHECK(!std::exchange(staging_.in_operation_, true));
}

const uint8_t* Operation::InBytes(const void* host, size_t bytes) {
  if (bytes == 0) return nullptr;
  if (const MirroredRange range = staging_.mirror_.Find(host, bytes);
      range.region) {
    staging_.mirror_.Send(range, bytes);
    return range.device();
  }
  // Tasks may have the same operand, which needs to be sent only once.
  const uint8_t*& known = staging_.known_[{host, bytes}];
  if (known != nullptr) return known;
  const ArenaPlace place = staging_.queue_.Stage(bytes);
  std::memcpy(place.host, host, bytes);
  return known = place.device;
}

Matrix<const float> Operation::In(Matrix<const float> host) {
  constexpr int64_t size = sizeof(float);
  const Matrix<uint8_t> bytes(
      const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(host.data)),
      host.rows, host.cols * size, host.stride * size);
  const int64_t span = Span(bytes);
  if (const MirroredRange range = staging_.mirror_.Find(host.data, span);
      range.region) {
    staging_.mirror_.Send(range, span);
    return {reinterpret_cast<const float*>(range.device()), host.rows,
            host.cols, host.stride};
  }
  const ArenaPlace place = staging_.queue_.Stage(bytes.rows * bytes.cols);
  CopyRows(bytes, place.host);
  return {reinterpret_cast<const float*>(place.device), host.rows, host.cols};
}

Matrix<uint8_t> Operation::ResultBytes(Matrix<uint8_t> host, bool send) {
  const int64_t span = Span(host);
  if (const MirroredRange range = staging_.mirror_.Find(host.data, span);
      range.region) {
    if (send) staging_.mirror_.Send(range, span);
    // Bytes between rows are not the device's: they must not be marked as newer
    // there.
    const bool packed = host.stride == host.cols;
    for (int64_t i = 0; i < (packed ? 1 : host.rows); ++i) {
      staging_.mirror_.WrittenByDevice(
          {range.region, range.first + i * host.stride},
          packed ? span : host.cols);
    }
    return {range.device(), host.rows, host.cols, host.stride};
  }
  const size_t bytes = host.rows * host.cols;
  if (bytes == 0) return {nullptr, host.rows, host.cols};
  if (!staging_.results_.HasRoom(bytes)) staging_.queue_.Use();
  ArenaPlace place = staging_.results_.Take(bytes);
  uint8_t* const pinned = place.host;
  if (send) {
    place = staging_.queue_.Stage(bytes);
    CopyRows(host, place.host);
  }
  staging_.returns_.push_back({host, place.device, pinned});
  return {place.device, host.rows, host.cols};
}

Operation::~Operation() {
  for (const Staging::Return& result : staging_.returns_) {
    staging_.queue_.Copy(result.pinned, result.device,
                         result.to.rows * result.to.cols,
                         cudaMemcpyDeviceToHost);
  }
  // Results for memory that is not mirrored must be there when the caller goes
  // on; otherwise nobody has to wait.
  staging_.returns_.empty() ? staging_.queue_.Bound() : staging_.queue_.Run();
  for (const Staging::Return& result : staging_.returns_) {
    for (int64_t i = 0; i < result.to.rows; ++i) {
      std::copy_n(result.pinned + i * result.to.cols, result.to.cols,
                  result.to.row(i).data());
    }
  }
  staging_.returns_.clear();
  staging_.results_.Reset();
  staging_.known_.clear();
  staging_.queue_.ReleaseScratch();
  staging_.in_operation_ = false;
}

}  // namespace subgen::cuda
