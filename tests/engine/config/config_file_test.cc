#include "engine/config/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <set>

#include "engine/config/fields.h"
#include "tests/engine/config/temporary_file.h"

namespace subgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LoadConfig, NoSourcesGiveTheDefaults) {
  const auto config = LoadConfig({});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->prefill_chunk, 256);
  EXPECT_EQ(config->cache.policy, "subgen");
  EXPECT_TRUE(LoadYaml("").ok());
  EXPECT_TRUE(LoadYaml("# only words\n---\n").ok());
}

TEST(LoadConfig, EachSourceOverridesTheOneBelow) {
  const TemporaryYaml file(
      "threads: 1\nprefill_chunk: 1\nmax_tokens: 1\n"
      "cache:\n  subgen:\n    radius: 1.5\n");
  const char* const environment[] = {"SUBGEN_PREFILL_CHUNK=2",
                                     "SUBGEN_MAX_TOKENS=2", "OTHER=x", nullptr};
  const auto config =
      LoadConfig({.yaml_path = file.path(),
                  .environment = environment,
                  .settings = {"max_tokens=3", "max_tokens=4"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->threads, 1);
  EXPECT_EQ(config->prefill_chunk, 2);
  EXPECT_EQ(config->max_tokens, 4);
  EXPECT_EQ(config->max_sequences, 1);
  EXPECT_EQ(config->cache.subgen.radius, 1.5);
}

TEST(LoadConfig, DottedKeysAndEmptySectionsAreYaml) {
  const auto config = LoadYaml("cache.policy: window\ncache:\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->cache.policy, "window");
}

TEST(LoadConfig, StringsKeepWhatWasWritten) {
  const auto config = LoadYaml(
      "model: 0x10\nchat: {system: yes, begin: \"a\\n\\\"b\"}\n"
      "stop: [1.50, 'it''s', \"\\n\", \xC3\xA9]\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->model, "0x10");
  EXPECT_EQ(config->chat.system, "yes");
  EXPECT_EQ(config->chat.begin, "a\n\"b");
  EXPECT_THAT(config->stop, ElementsAre("1.50", "it's", "\n", "\xC3\xA9"));
}

TEST(LoadConfig, SettingsTakeYamlValuesAndBareStrings) {
  const auto config =
      LoadConfig({.settings = {"model=/a b: c #d", "chat.begin=[INST] ",
                               "chat.system=\"x\\ty\"", "stop=[\"a\", 'b']"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->model, "/a b: c #d");
  EXPECT_EQ(config->chat.begin, "[INST] ");
  EXPECT_EQ(config->chat.system, "x\ty");
  EXPECT_THAT(config->stop, ElementsAre("a", "b"));
}

TEST(LoadConfig, ExtremesAreLegal) {
  const auto config = LoadConfig({.settings = {
                                      "cache.seed=18446744073709551615",
                                      "cache.budget_bytes=1125899906842624",
                                      "sampling.top_p=1",
                                      "sampling.min_p=1",
                                  }});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->cache.seed, ~uint64_t{0});
  EXPECT_EQ(config->cache.budget_bytes, int64_t{1} << 50);
}

TEST(LoadConfig, HomeIsExpandedInTheModel) {
  const char* const home[] = {"HOME=/h", nullptr};
  const std::vector<std::string> settings = {"model=~/m.gguf"};
  const auto config = LoadConfig({.environment = home, .settings = settings});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->model, "/h/m.gguf");
  EXPECT_EQ(SetError("model=~/m.gguf"),
            "--set: model '~/m.gguf' begins with ~ but HOME is not set; give "
            "a full path");
}

TEST(DumpConfig, LoadsToTheSameForRandomConfigs) {
  std::mt19937_64 random(1);
  const std::string alphabet[] = {"a",
                                  "\"",
                                  "\\",
                                  "\n",
                                  "\t",
                                  "#",
                                  ": ",
                                  "\x01",
                                  "\x7f",
                                  "\r",
                                  "- ",
                                  "~",
                                  "\xC2\x85",
                                  "\xE2\x80\xA8",
                                  "\xF0\x9F\x98\x80",
                                  std::string(1, '\0')};
  const auto text = [&] {
    std::string s;
    for (int i = random() % 9; i >= 0; --i) s += alphabet[random() % 16];
    return s;
  };
  const auto real = [&] { return std::generate_canonical<double, 53>(random); };
  for (int trial = 0; trial < 200; ++trial) {
    EngineConfig config;
    config.model = "m" + text();
    config.stop = {text(), text()};
    config.chat.begin = text();
    config.chat.user_suffix = text();
    config.cache.seed = random();
    config.cache.subgen.radius = real() * 1e-7;
    config.sampling.min_p = real();
    const std::string dump = DumpConfig(config);
    const auto loaded = LoadYaml(dump);
    ASSERT_TRUE(loaded.ok()) << loaded.status() << "\n" << dump;
    EXPECT_EQ(loaded->model, config.model);
    EXPECT_EQ(loaded->stop, config.stop);
    EXPECT_EQ(loaded->chat.user_suffix, config.chat.user_suffix);
    EXPECT_EQ(loaded->cache.seed, config.cache.seed);
    EXPECT_EQ(loaded->cache.subgen.radius, config.cache.subgen.radius);
    EXPECT_EQ(loaded->sampling.min_p, config.sampling.min_p);
    EXPECT_EQ(DumpConfig(*loaded), dump);
  }
}

// A value other than the default for every key comes through every source.
TEST(Fields, EveryKeyWorksInYamlEnvironmentAndSettings) {
  for (const Field& field : Fields()) {
    EngineConfig config;
    std::visit(
        [&](auto* target) {
          using T = std::remove_pointer_t<decltype(target)>;
          if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            *target = {"x"};
          } else if constexpr (std::is_same_v<T, std::string>) {
            *target = field.legal.names.empty()
                          ? "x"
                          : std::string(field.legal.names.back());
          } else if (!field.legal.numbers.empty()) {
            *target = static_cast<T>(field.legal.numbers.front());
          } else {
            *target = static_cast<T>(field.legal.high > 1 ? 2 : 0.25);
          }
        },
        field.target(config));
    const std::string value = FormatField(field, config);
    std::vector<std::string> settings = {std::string(field.key) + "=" + value};
    if (field.key == "ranks.count") settings.push_back("comm=threads");
    const auto by_setting = LoadConfig({.settings = settings});
    ASSERT_TRUE(by_setting.ok()) << by_setting.status();
    const std::string variable = EnvironmentName(field.key) + "=" + value;
    const char* const environment[] = {
        variable.c_str(),
        field.key == "ranks.count" ? "SUBGEN_COMM=threads" : nullptr, nullptr};
    const auto by_variable = LoadConfig({.environment = environment});
    ASSERT_TRUE(by_variable.ok()) << by_variable.status();
    const auto by_yaml = LoadYaml(DumpConfig(*by_setting));
    ASSERT_TRUE(by_yaml.ok()) << by_yaml.status();
    EXPECT_EQ(FormatField(field, *by_setting), value);
    EXPECT_EQ(FormatField(field, *by_variable), value);
    EXPECT_EQ(FormatField(field, *by_yaml), value);
  }
}

// What a person may write stands beside each setting.
TEST(Fields, TheDumpSaysWhatIsLegal) {
  const std::string dump = DumpConfig(EngineConfig());
  for (const Field& field : Fields()) {
    for (const absl::string_view name : field.legal.names) {
      if (name.empty()) continue;
      EXPECT_NE(dump.find(absl::StrCat(" ", name)), std::string::npos) << name;
    }
  }
  EXPECT_NE(dump.find("threads: 0  # a rank; 0: cores of the host over its "
                      "ranks; an integer from 0 to 4096\n"),
            std::string::npos)
      << dump;
  EXPECT_NE(dump.find("one of auto, none, threads, mpi, nccl\n"),
            std::string::npos);
}

TEST(Fields, DefaultsAreLegalAndNamesDiffer) {
  std::set<std::string> names;
  for (const Field& field : Fields()) {
    EXPECT_TRUE(names.insert(EnvironmentName(field.key)).second) << field.key;
    EXPECT_FALSE(field.help.empty());
    EXPECT_EQ(field.help.find('\n'), absl::string_view::npos);
  }
  EXPECT_EQ(names.count("SUBGEN_CACHE_SUBGEN_RADIUS"), 1u);
  EXPECT_TRUE(LoadYaml(DumpConfig(EngineConfig())).ok());
}

TEST(Configs, EveryFileOfTheFolderLoads) {
  const char* const home[] = {"HOME=/h", nullptr};
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(SUBGEN_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml") continue;
    const auto config =
        LoadConfig({.yaml_path = entry.path().string(), .environment = home});
    EXPECT_TRUE(config.ok()) << config.status();
    ++files;
  }
  EXPECT_GE(files, 6);
}

TEST(Environment, UnknownAndWrongVariablesAreNamed) {
  const auto error = [](const char* variable) {
    const char* const environment[] = {variable, nullptr};
    return std::string(
        LoadConfig({.environment = environment}).status().message());
  };
  EXPECT_EQ(error("SUBGEN_CACHE_POLICI=exact"),
            "environment: unknown variable 'SUBGEN_CACHE_POLICI'; did you "
            "mean SUBGEN_CACHE_POLICY?");
  EXPECT_EQ(error("SUBGEN_THREADS=many"),
            "environment: SUBGEN_THREADS: threads must be an integer from 0 to "
            "4096, not 'many'");
  EXPECT_EQ(error("SUBGEN_MODEL=a\xFF"),
            "environment: SUBGEN_MODEL: model is not UTF-8 at byte 1 of "
            "'a\\xff'");
  EXPECT_EQ(error("SUBGENERATOR=1"), "");
}

}  // namespace
}  // namespace subgen
