// These are files made to harm a reader; most repeat a published hole of
// another one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "engine/model/gguf/gguf_file.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/model_file.h"

namespace subgen {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr uint64_t kHuge = uint64_t{1} << 63;

std::string Header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
  return "GGUF" + GgufBytes(version) + GgufBytes(tensors) + GgufBytes(keys);
}

std::string Key(absl::string_view name, uint32_t type, std::string value) {
  return GgufString(name) + GgufBytes(type) + value;
}

std::string Array(uint32_t type, uint64_t count, std::string elements) {
  return GgufBytes(type) + GgufBytes(count) + elements;
}

std::string Tensor(absl::string_view name, std::vector<int64_t> shape,
                   uint32_t type, uint64_t offset = 0) {
  std::string bytes =
      GgufString(name) + GgufBytes(static_cast<uint32_t>(shape.size()));
  for (int64_t dimension : shape) bytes += GgufBytes(dimension);
  return bytes + GgufBytes(type) + GgufBytes(offset);
}

// Puts tensors in a file that has the one key it needs, padded, with 64 bytes
// of data.
std::string Model(uint64_t tensors, std::string table) {
  std::string bytes = Header(tensors, 1) +
                      Key("general.architecture", 8, GgufString("llama")) +
                      table;
  bytes.resize((bytes.size() + 31) / 32 * 32 + 64);
  return bytes;
}

std::string ManyKeys() {
  std::string bytes = Header(0, 40000);
  for (int i = 0; i < 40000; ++i) {
    bytes += Key(absl::StrCat("k", i), 0, "\1");
  }
  return bytes;
}

// Each array is below a cap, and together they are above the cap on all arrays.
std::string ManyArrays() {
  std::string bytes = Header(0, 5);
  const std::string array = Array(0, 1 << 20, std::string(1 << 20, '\0'));
  for (int i = 0; i < 5; ++i) bytes += Key(absl::StrCat("k", i), 9, array);
  return bytes;
}

struct Case {
  const char* name;
  std::string bytes;
  const char* error;  // part of the message
};
void PrintTo(const Case& hostile, std::ostream* out) { *out << hostile.name; }

std::vector<Case> HeaderCases() {
  return {
      {"empty", "", "not a GGUF file"},
      {"four_bytes", "GGUF", "version: needs 4 bytes"},
      {"magic", "GGML" + std::string(60, '\0'), "not a GGUF file"},
      {"magic_unprintable", std::string("\0\x1b\n\xff", 4) + "0123456789",
       "not a GGUF file"},
      {"version_zero", Header(0, 0, 0), "version 0, 2 and 3 are legal"},
      {"version_one", Header(0, 0, 1), "version 1,"},
      {"version_four", Header(0, 0, 4), "version 4,"},
      {"big_endian", Header(0, 0, 0x03000000), "big-endian"},
      {"no_counts", Header(0, 0).substr(0, 16), "key count: needs 8 bytes"},
      {"no_architecture", Header(0, 0), "'general.architecture' is missing"},
      {"key_count_huge", Header(0, 0x7fffffff) + std::string(32, '\0'),
       "header: 2147483647 metadata keys, at most 65536"},
      {"key_count_wraps", Header(0, ~uint64_t{0}), "at most 65536"},
      {"tensor_count_huge", Model(uint64_t{1} << 60, ""), "at most 262144"},
      {"more_keys_than_file", Header(0, 60000), "key name: needs 8 bytes"},
      {"more_tensors_than_file", Model(200000, ""), "tensor name"},
  };
}

std::vector<Case> MetadataCases() {
  const auto one = [](std::string key) { return Header(0, 1) + key; };
  return {
      {"many_keys", ManyKeys(), "'general.architecture' is missing"},
      {"many_arrays", ManyArrays(), "in all arrays together"},
      {"string_length_huge", one(GgufBytes(kHuge) + std::string(16, 'x')),
       "key name: length 9223372036854775808"},
      {"string_length_wraps",
       one(GgufString("k") + GgufBytes(8u) + GgufBytes(~uint64_t{0})),
       "length 18446744073709551615"},
      {"string_beyond_file",
       one(GgufString("k") + GgufBytes(8u) + GgufBytes(uint64_t{1000})),
       "key 'k': needs 1000 bytes"},
      {"key_empty", one(Key("", 0, "\1")), "key name: empty"},
      {"key_too_long", one(Key(std::string(65536, 'k'), 0, "\1")),
       "at most 65535 bytes"},
      {"key_control", one(Key("a\nb", 0, "\1")), "control character"},
      {"key_utf8", one(Key("a\xff", 0, "\1")), "not valid UTF-8"},
      {"key_twice", Header(0, 2) + Key("k", 0, "\1") + Key("k", 0, "\1"),
       "key 'k': stands twice"},
      {"value_utf8", one(Key("k", 8, GgufString("\xc0\x80"))),
       "key 'k': '\\xc0\\x80' is not valid UTF-8"},
      {"value_type", one(Key("k", 13, std::string(8, '\0'))), "value type 13"},
      {"bool_two", one(Key("k", 7, "\2")), "bool 2 is not 0 or 1"},
      {"array_nested", one(Key("k", 9, Array(9, 1, Array(0, 0, "")))),
       "array of arrays"},
      {"array_of_empty_strings",
       one(Key("k", 9, Array(8, 2000000, std::string(16000000, '\0')))),
       "array of 2000000 elements, at most 1048576"},
      {"array_count_wraps", one(Key("k", 9, Array(12, kHuge / 4, ""))),
       "array of 2305843009213693952 elements"},
      {"array_beyond_file", one(Key("k", 9, Array(6, 1000, "abcdefgh"))),
       "key 'k': needs 4000 bytes"},
      {"array_type", one(Key("k", 9, Array(99, 1, "abcd"))), "value type 99"},
      {"array_uint64", one(Key("k", 9, Array(10, 1, GgufBytes(kHuge)))),
       "does not fit 64 signed bits"},
      {"alignment_zero", one(Key("general.alignment", 4, GgufBytes(0u))),
       "general.alignment is 0, a power of two from 8 to 65536"},
      {"alignment_huge",
       one(Key("general.alignment", 4, GgufBytes(uint32_t{1} << 31))),
       "general.alignment is 2147483648"},
      {"alignment_odd", one(Key("general.alignment", 4, GgufBytes(24u))),
       "general.alignment is 24"},
      {"alignment_type", one(Key("general.alignment", 8, GgufString("32"))),
       "is a string, not an integer"},
      {"architecture_type", one(Key("general.architecture", 0, "\1")),
       "is an integer, not a string"},
  };
}

std::vector<Case> TensorCases() {
  constexpr uint32_t kF32 = 0, kQ8_0 = 8;
  constexpr int64_t k2To62 = int64_t{1} << 62;
  return {
      {"bytes_wrap_to_zero",
       Model(2, Tensor("a", {k2To62 - 1}, kF32) + Tensor("b", {8}, kF32)),
       "tensor 'a': 18446744073709551612 bytes at offset 0 of 64"},
      {"elements_overflow",
       Model(1, Tensor("a", {2 * (k2To62 - 1) + 1, 2, 1, 1}, kF32)),
       "multiply to over 64 bits"},
      {"elements_wrap_to_zero", Model(1, Tensor("a", {k2To62, 4, 1, 1}, kF32)),
       "multiply to over 64 bits"},
      {"data_cut_short", Model(1, Tensor("a", {1 << 20}, kF32)),
       "4194304 bytes at offset 0 of 64"},
      {"data_absent", Model(1, Tensor("a", {8}, kF32)).substr(0, 110),
       "of 0 bytes of tensor data"},
      {"offset_beyond_file", Model(1, Tensor("a", {8}, kF32, 96)),
       "32 bytes at offset 96 of 64"},
      {"offset_wraps", Model(1, Tensor("a", {8}, kF32, ~uint64_t{31})),
       "at offset 18446744073709551584"},
      {"offset_unaligned", Model(1, Tensor("a", {8}, kF32, 4)),
       "offset 4 is no multiple of the alignment 32"},
      {"overlap",
       Model(2, Tensor("a", {16}, kF32) + Tensor("b", {8}, kF32, 32)),
       "tensor 'b': its data at offset 32 overlaps that of 'a'"},
      {"same_place", Model(2, Tensor("a", {8}, kF32) + Tensor("b", {8}, kF32)),
       "overlaps"},
      {"dimension_negative", Model(1, Tensor("a", {-1}, kF32)),
       "dimension 0 is -1"},
      {"dimension_zero", Model(1, Tensor("a", {8, 0}, kF32)),
       "dimension 1 is 0"},
      {"no_dimensions", Model(1, Tensor("a", {}, kF32)), "0 dimensions, 1 to"},
      {"five_dimensions", Model(1, Tensor("a", {1, 1, 1, 1, 1}, kF32)),
       "5 dimensions, 1 to 4 are legal"},
      {"type_removed", Model(1, Tensor("a", {32}, 4)), "tensor type 4"},
      {"type_unknown", Model(1, Tensor("a", {32}, 24)), "tensor type 24"},
      {"block_split", Model(1, Tensor("a", {33}, kQ8_0)),
       "rows of 33 numbers, a multiple of 32"},
      {"name_empty", Model(1, Tensor("", {8}, kF32)), "tensor name: empty"},
      {"name_too_long", Model(1, Tensor(std::string(65, 'a'), {8}, kF32)),
       "length 65, at most 64"},
      {"name_control", Model(1, Tensor("a\x1b[2J", {8}, kF32)),
       "'a\\x1b[2J' contains a control character"},
      {"name_twice",
       Model(2, Tensor("a", {8}, kF32) + Tensor("a", {8}, kF32, 32)),
       "tensor 'a': stands twice"},
  };
}

class GgufMalformed : public testing::TestWithParam<Case> {};

TEST_P(GgufMalformed, IsRefusedAtOnceInOneLine) {
  const std::string path = TestPath("hostile.gguf");
  WriteBytes(path, GetParam().bytes);
  const std::clock_t begin = std::clock();

  const absl::Status status = GgufFile::Open(path).status();

  // A second of processor time is a loose bound. A reader that is quadratic, or
  // believes a count, takes minutes.
  EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC);
  ASSERT_FALSE(status.ok());
  const std::string message(status.message());
  EXPECT_THAT(message, StartsWith(path + ": "));
  EXPECT_THAT(message, HasSubstr(GetParam().error));
  EXPECT_EQ(message.find_first_of("\n\x1b"), std::string::npos);
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Header, GgufMalformed,
                         testing::ValuesIn(HeaderCases()), kName);
INSTANTIATE_TEST_SUITE_P(Metadata, GgufMalformed,
                         testing::ValuesIn(MetadataCases()), kName);
INSTANTIATE_TEST_SUITE_P(Tensors, GgufMalformed,
                         testing::ValuesIn(TensorCases()), kName);

// What the cases change is all that is wrong with them.
TEST(GgufMalformedTest, TheirFrameIsAValidFile) {
  const std::string path = TestPath("valid.gguf");
  WriteBytes(path, Model(2, Tensor("a", {8}, 0) + Tensor("b", {8}, 0, 32)));
  EXPECT_TRUE(GgufFile::Open(path).ok()) << GgufFile::Open(path).status();
}

}  // namespace
}  // namespace subgen
