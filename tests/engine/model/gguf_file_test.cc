#include "engine/model/gguf/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <limits>

#include "kernels/base/quoted.h"
#include "kernels/base/utf8.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/model_file.h"

namespace subgen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<GgufFile> OpenOrFail(const GgufWriter& writer) {
  const std::string path = TestPath("model.gguf");
  writer.Write(path);
  auto file = GgufFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : nullptr;
}

GgufWriter EveryType() {
  GgufWriter writer;
  writer.Set("general.architecture", "llama");
  writer.Set("uint8", uint8_t{255});
  writer.Set("int8", int8_t{-128});
  writer.Set("uint16", uint16_t{65535});
  writer.Set("int16", int16_t{-32768});
  writer.Set("uint32", uint32_t{4294967295});
  writer.Set("int32", std::numeric_limits<int32_t>::min());
  writer.Set("uint64", std::numeric_limits<uint64_t>::max());
  writer.Set("int64", std::numeric_limits<int64_t>::min());
  writer.Set("float32", 0.5f);
  writer.Set("float64", 0.1);
  writer.Set("bool", true);
  writer.Set("string", "Grüße, 世界 \xf0\x9f\x8c\x8d");
  writer.Set("empty", "");
  writer.Set("uint8s", std::vector<uint8_t>{0, 200});
  writer.Set("int16s", std::vector<int16_t>{-1, 2});
  writer.Set("int64s", std::vector<int64_t>{-5, 6});
  writer.Set("uint64s", std::vector<uint64_t>{7});
  writer.Set("float32s", std::vector<float>{0.25f, -1.0f});
  writer.Set("float64s", std::vector<double>{0.1});
  writer.Set("bools", std::vector<bool>{true, false, true});
  writer.Set("strings", std::vector<std::string>{"a", "", "ü"});
  writer.Set("nothing", std::vector<int32_t>{});
  return writer;
}

class GgufVersions : public testing::TestWithParam<uint32_t> {};

TEST_P(GgufVersions, GiveBackEveryMetadataType) {
  GgufWriter writer = EveryType();
  writer.version = GetParam();

  const auto file = OpenOrFail(writer);

  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->metadata().size(), 23u);
  EXPECT_EQ(file->metadata()[1].first, "uint8");
  EXPECT_EQ(*file->Integer("uint8"), 255);
  EXPECT_EQ(*file->Integer("int8"), -128);
  EXPECT_EQ(*file->Integer("uint16"), 65535);
  EXPECT_EQ(*file->Integer("int16"), -32768);
  EXPECT_EQ(*file->Integer("uint32"), 4294967295);
  EXPECT_EQ(*file->Integer("int32"), -2147483648);
  EXPECT_EQ(*file->Integer("int64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(*file->Number("uint64"), 0x1p64);
  EXPECT_EQ(*file->Number("float32"), 0.5);
  EXPECT_EQ(*file->Number("float64"), 0.1);
  EXPECT_EQ(*file->Number("int8"), -128.0);
  EXPECT_EQ(*file->Bool("bool"), true);
  EXPECT_EQ(*file->String("string"), "Grüße, 世界 \xf0\x9f\x8c\x8d");
  EXPECT_EQ(*file->String("empty"), "");
  EXPECT_THAT(**file->Integers("uint8s"), ElementsAre(0, 200));
  EXPECT_THAT(**file->Integers("int16s"), ElementsAre(-1, 2));
  EXPECT_THAT(**file->Integers("int64s"), ElementsAre(-5, 6));
  EXPECT_THAT(**file->Integers("uint64s"), ElementsAre(7));
  EXPECT_THAT(**file->Numbers("float32s"), ElementsAre(0.25, -1.0));
  EXPECT_THAT(**file->Numbers("float64s"), ElementsAre(0.1));
  EXPECT_THAT(**file->Strings("strings"), ElementsAre("a", "", "ü"));
  EXPECT_THAT(**file->Integers("nothing"), ElementsAre());
  const auto& bools = file->metadata()[20];
  EXPECT_EQ(bools.first, "bools");
  EXPECT_THAT(
      std::get<std::vector<bool>>(std::get<GgufFile::Array>(bools.second)),
      ElementsAre(true, false, true));
}

TEST_P(GgufVersions, GiveBackTensors) {
  GgufWriter writer = EveryType();
  writer.version = GetParam();
  const auto blocks = RandomBlocks(BlockFormat::kQ4_1, 64 * 3, 1);
  writer.AddTensor("matrix", BlockFormat::kQ4_1, {64, 3}, blocks);
  writer.AddFloats("vector", {1.0f, 2.0f, 3.0f});
  for (uint32_t alignment : {8u, 32u, 65536u}) {
    writer.alignment = alignment;

    const auto file = OpenOrFail(writer);

    ASSERT_NE(file, nullptr);
    EXPECT_EQ(file->file_bytes(), static_cast<int64_t>(writer.Bytes().size()));
    ASSERT_EQ(file->tensors().size(), 2u);
    const ModelTensor* matrix = file->FindTensor("matrix");
    ASSERT_EQ(matrix, &file->tensors()[0]);
    EXPECT_EQ(matrix->format, BlockFormat::kQ4_1);
    EXPECT_THAT(matrix->shape, ElementsAre(64, 3));
    ASSERT_EQ(matrix->data.size(), blocks.size());
    EXPECT_EQ(std::memcmp(matrix->data.data(), blocks.data(), blocks.size()),
              0);
    const ModelTensor* vector = file->FindTensor("vector");
    ASSERT_NE(vector, nullptr);
    float values[3];
    ASSERT_EQ(vector->data.size(), sizeof(values));
    std::memcpy(values, vector->data.data(), sizeof(values));
    EXPECT_THAT(values, ElementsAre(1.0f, 2.0f, 3.0f));
    EXPECT_EQ(file->FindTensor("other"), nullptr);
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, GgufVersions, testing::Values(2u, 3u),
                         testing::PrintToStringParamName());

TEST(GgufFileTest, GettersNameTheFileTheKeyAndTheType) {
  const auto file = OpenOrFail(EveryType());
  ASSERT_NE(file, nullptr);

  const auto missing = file->Integer("absent").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(),
            file->path() + ": metadata key 'absent' is missing");
  EXPECT_EQ(file->Integer("string").status().message(),
            file->path() +
                ": metadata key 'string' is a string, not an "
                "integer");
  EXPECT_THAT(std::string(file->Integer("float32").status().message()),
              HasSubstr("'float32' is a number, not an integer"));
  EXPECT_THAT(std::string(file->Integer("uint64").status().message()),
              HasSubstr("18446744073709551615 does not fit"));
  EXPECT_THAT(std::string(file->Number("bool").status().message()),
              HasSubstr("is a bool, not a number"));
  EXPECT_THAT(std::string(file->Strings("uint8s").status().message()),
              HasSubstr("is an array of integers, not an array of strings"));
  EXPECT_THAT(std::string(file->Integers("string").status().message()),
              HasSubstr("is a string, not an array of integers"));
  EXPECT_FALSE(file->Numbers("int64s").ok());
  EXPECT_FALSE(file->Bool("uint8").ok());
  EXPECT_FALSE(file->String("strings").ok());
  EXPECT_TRUE(file->Has("bool"));
  EXPECT_FALSE(file->Has("boo"));
}

TEST(GgufFileTest, RefusesWhatIsNoRegularFile) {
  const std::string folder = testing::TempDir();
  EXPECT_THAT(std::string(GgufFile::Open(folder).status().message()),
              HasSubstr("not a regular file"));
  const std::string pipe = TestPath("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(std::string(GgufFile::Open(pipe).status().message()),
              HasSubstr("not a regular file"));
  const auto missing = GgufFile::Open("/no/such/file.gguf").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), "/no/such/file.gguf: No such file or directory");
}

TEST(GgufFileTest, ReadsTheRealModel) {
  if (!HaveSmolModel()) GTEST_SKIP() << "no model at " << SmolModelPath();

  auto file = GgufFile::Open(SmolModelPath());

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->metadata().size(), 33u);
  EXPECT_EQ((*file)->tensors().size(), 272u);
  EXPECT_EQ(*(*file)->Integer("llama.block_count"), 30);
  EXPECT_EQ((*(*file)->Strings("tokenizer.ggml.tokens"))->size(), 49152u);
  const ModelTensor* table = (*file)->FindTensor("token_embd.weight");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->format, BlockFormat::kQ8_0);
  EXPECT_THAT(table->shape, ElementsAre(576, 49152));
}

}  // namespace
}  // namespace subgen
