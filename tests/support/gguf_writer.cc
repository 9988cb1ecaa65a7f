#include "tests/support/gguf_writer.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <utility>

#include "kernels/memory/row_format.h"

namespace subgen {
namespace {

constexpr double kDeviation = 0.05;

void Pad(std::string& bytes, uint32_t alignment) {
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
}

// This is where a block keeps its two scales, and sizes of them that give
// numbers of the wished deviation when every other byte is uniform.
struct Scales {
  int scale_at = 0;
  int minimum_at = -1;  // none
  double scale = 0.0;
  double minimum = 0.0;
};

Scales ScalesOf(BlockFormat format) {
  // An integer uniform over n values has deviation n / sqrt(12).
  const auto uniform = [](double n) { return kDeviation / n * std::sqrt(12); };
  switch (format) {
    case BlockFormat::kQ4_0:
      return {0, -1, uniform(16), 0};
    // The values are of a table with mean -11 and deviation 70.
    case BlockFormat::kIQ4_NL:
      return {0, -1, kDeviation / 71, 0};
    // The values are the same, with s - 32 over -32..31.
    case BlockFormat::kIQ4_XS:
      return {0, -1, kDeviation / 71 / 18.5, 0};
    case BlockFormat::kQ4_1:
      return {0, 2, uniform(16), -7.5 * uniform(16)};
    case BlockFormat::kQ5_0:
      return {0, -1, uniform(32), 0};
    case BlockFormat::kQ5_1:
      return {0, 2, uniform(32), -15.5 * uniform(32)};
    case BlockFormat::kQ8_0:
      return {0, -1, uniform(256), 0};
    // A number is scale * s * q - minimum * m, with s and m uniform over 0..63.
    case BlockFormat::kQ4_K:
      return {0, 2, kDeviation / 269, 7.5 * kDeviation / 269};
    case BlockFormat::kQ5_K:
      return {0, 2, kDeviation / 548, 15.5 * kDeviation / 548};
    // A number is scale * s * q, with s over -128..127 and q over -32..31.
    case BlockFormat::kQ6_K:
      return {208, -1, kDeviation / 1366, 0};
    default:
      Fatal("not a quantized format");
  }
}

void Store16(uint16_t bits, std::byte* out) { std::memcpy(out, &bits, 2); }

void StoreFloat(BlockFormat format, float value, std::byte* out) {
  if (format == BlockFormat::kF32) std::memcpy(out, &value, 4);
  if (format == BlockFormat::kF16) Store16(FloatToF16(value), out);
  if (format == BlockFormat::kBF16) Store16(FloatToBF16(value), out);
}

}  // namespace

std::string GgufString(absl::string_view text) {
  return GgufBytes<uint64_t>(text.size()) + std::string(text);
}

void GgufWriter::Set(absl::string_view key, absl::string_view value) {
  SetRaw(key, GgufValueType::kString, GgufString(value));
}

void GgufWriter::Set(absl::string_view key,
                     const std::vector<std::string>& values) {
  std::string bytes;
  for (const std::string& value : values) bytes += GgufString(value);
  SetArray(key, GgufValueType::kString, values.size(), bytes);
}

void GgufWriter::SetArray(absl::string_view key, GgufValueType type,
                          uint64_t count, const std::string& bytes) {
  SetRaw(key, GgufValueType::kArray,
         GgufBytes(static_cast<uint32_t>(type)) + GgufBytes(count) + bytes);
}

void GgufWriter::SetRaw(absl::string_view key, GgufValueType type,
                        std::string bytes) {
  for (Key& old : keys_) {
    if (old.name == key) {
      old.type = type;
      old.bytes = std::move(bytes);
      return;
    }
  }
  keys_.push_back({std::string(key), type, std::move(bytes)});
}

void GgufWriter::Remove(absl::string_view key) {
  std::erase_if(keys_, [&](const Key& k) { return k.name == key; });
}

void GgufWriter::AddTensor(absl::string_view name, BlockFormat format,
                           std::vector<int64_t> shape,
                           std::vector<std::byte> bytes) {
  RemoveTensor(name);
  tensors_.push_back(
      {std::string(name), format, std::move(shape), std::move(bytes)});
}

void GgufWriter::AddRandomTensor(absl::string_view name, BlockFormat format,
                                 std::vector<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dimension : shape) count *= dimension;
  uint64_t seed = 1469598103934665603u;  // FNV-1a
  for (char c : name) seed = (seed ^ static_cast<uint8_t>(c)) * 1099511628211u;
  AddTensor(name, format, shape, RandomBlocks(format, count, seed));
}

void GgufWriter::AddFloats(absl::string_view name,
                           const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  AddTensor(name, BlockFormat::kF32, {static_cast<int64_t>(values.size())},
            std::move(bytes));
}

void GgufWriter::RemoveTensor(absl::string_view name) {
  std::erase_if(tensors_, [&](const Tensor& t) { return t.name == name; });
}

std::string GgufWriter::Bytes() const {
  GgufWriter whole = *this;
  if (alignment != 32) whole.Set("general.alignment", alignment);
  std::string bytes = "GGUF" + GgufBytes(version) +
                      GgufBytes<uint64_t>(tensors_.size()) +
                      GgufBytes<uint64_t>(whole.keys_.size());
  for (const Key& key : whole.keys_) {
    bytes += GgufString(key.name) + GgufBytes(static_cast<uint32_t>(key.type)) +
             key.bytes;
  }
  std::string data;
  for (const Tensor& tensor : tensors_) {
    bytes += GgufString(tensor.name) +
             GgufBytes(static_cast<uint32_t>(tensor.shape.size()));
    for (int64_t dimension : tensor.shape) bytes += GgufBytes(dimension);
    bytes += GgufBytes(static_cast<uint32_t>(tensor.format)) +
             GgufBytes<uint64_t>(data.size());
    data.append(reinterpret_cast<const char*>(tensor.bytes.data()),
                tensor.bytes.size());
    Pad(data, alignment);
  }
  Pad(bytes, alignment);
  return bytes + data;
}

void GgufWriter::Write(const std::string& path) const {
  WriteBytes(path, Bytes());
}

void WriteBytes(const std::string& path, absl::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), bytes.size());
  file.close();
  SUBGEN_CHECK(file.good(), "cannot write ", path);
}

std::vector<std::byte> RandomBlocks(BlockFormat format, int64_t count,
                                    uint64_t seed) {
  const int64_t size = BlockSize(format), bytes = BlockBytes(format);
  SUBGEN_CHECK(count % size == 0, count, " numbers in blocks of ", size);
  std::vector<std::byte> out(count / size * bytes);
  std::mt19937_64 random(seed);
  if (size == 1) {
    std::normal_distribution<float> normal(0.0f, kDeviation);
    for (int64_t i = 0; i < count; ++i) {
      StoreFloat(format, normal(random), &out[i * bytes]);
    }
    return out;
  }
  const Scales scales = ScalesOf(format);
  for (std::byte& byte : out) byte = static_cast<std::byte>(random());
  for (size_t block = 0; block < out.size(); block += bytes) {
    Store16(FloatToF16(scales.scale), &out[block + scales.scale_at]);
    if (scales.minimum_at < 0) continue;
    Store16(FloatToF16(scales.minimum), &out[block + scales.minimum_at]);
  }
  return out;
}

}  // namespace subgen
