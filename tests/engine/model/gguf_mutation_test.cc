// Models that are cut short or have bytes changed are refused or readable, and
// nothing else. This is worth most with AddressSanitizer.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>

#include "engine/model/gguf/gguf_file.h"
#include "engine/model/model_file.h"
#include "tests/support/model_file.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

// Reads all that an open file offers, so that a view out of bounds shows.
uint64_t Touch(const GgufFile& file) {
  uint64_t sum = 0;
  const auto add = [&](absl::string_view text) {
    for (char c : text) sum += static_cast<uint8_t>(c);
  };
  for (const auto& [key, value] : file.metadata()) {
    add(key);
    if (const auto text = file.String(key); text.ok()) add(*text);
    if (const auto texts = file.Strings(key); texts.ok()) {
      for (absl::string_view text : **texts) add(text);
    }
  }
  for (const ModelTensor& tensor : file.tensors()) {
    add(tensor.name);
    for (size_t i = 0; i < tensor.data.size(); i += 64) {
      sum += std::to_integer<int>(tensor.data[i]);
    }
    sum += std::to_integer<int>(tensor.data.back());
  }
  return sum;
}

// Shortens the file at `path` to 200 random lengths, the longest first.
void ExpectRefusedAtAnyLength(const std::string& path, uint64_t size) {
  std::mt19937_64 random(3);
  std::vector<uint64_t> lengths(200);
  for (size_t i = 0; i < lengths.size(); ++i) {
    // Half of them are in the front, where the tables are.
    lengths[i] = random() % (i % 2 == 0 ? size : size / 32);
  }
  std::sort(lengths.begin(), lengths.end(), std::greater<>());
  for (uint64_t length : lengths) {
    ASSERT_EQ(truncate(path.c_str(), length), 0);
    const auto file = GgufFile::Open(path);
    EXPECT_FALSE(file.ok()) << "cut to " << length << " of " << size;
  }
}

TEST(GgufMutation, AToyModelCutShortIsRefused) {
  const std::string path = WriteToyModel(ToyModel{}, "cut");
  ASSERT_TRUE(GgufFile::Open(path).ok());
  ExpectRefusedAtAnyLength(path, std::filesystem::file_size(path));
}

TEST(GgufMutation, TheRealModelCutShortIsRefused) {
  if (!HaveSmolModel()) GTEST_SKIP() << "no model at " << SmolModelPath();
  const std::string path = TestPath("cut.gguf");
  std::filesystem::copy_file(SmolModelPath(), path);
  ExpectRefusedAtAnyLength(path, std::filesystem::file_size(path));
}

TEST(GgufMutation, FlippedBytesNeverCrash) {
  const std::string path = TestPath("flipped.gguf");
  const std::string valid = MakeToyModel(ToyModel{.layers = 1}).Bytes();
  // The tables go up to the last tensor's entry; its name stands there once.
  const size_t tables = valid.find("output_norm.weight") + 64;
  std::mt19937_64 random(4);
  int refused = 0, read = 0, configured = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = valid;
    for (uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      const size_t at = random() % (round % 4 == 0 ? bytes.size() : tables);
      bytes[at] ^= static_cast<char>(1 + random() % 255);
    }
    WriteBytes(path, bytes);
    const auto file = GgufFile::Open(path);
    if (!file.ok()) {
      ++refused;
      continue;
    }
    ++read;
    EXPECT_GT(Touch(**file), 0u);
    if (ReadGgufModel(path, {}).ok()) ++configured;
  }
  // All three happen, or the flips test nothing.
  EXPECT_GT(refused, 200);
  EXPECT_GT(read, 200);
  EXPECT_GT(configured, 100);
  EXPECT_LT(configured, read);
}

}  // namespace
}  // namespace subgen
