// These test each error, word for word with its place, and hostile YAML.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/engine/config/temporary_file.h"

namespace subgen {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct BadYaml {
  const char* text;
  const char* error;
};

constexpr BadYaml kBadYaml[] = {
    {"threads: 1\ncache:\n  polcy: exact\n",
     "F:3:3: unknown key 'cache.polcy'; did you mean cache.policy?"},
    {"budget_tokens: 5\n",
     "F:1:1: unknown key 'budget_tokens'; did you mean cache.budget_tokens?"},
    {"cash: {policy: exact}\n", "F:1:1: unknown key 'cash'; did you mean "},
    {"threads: two\n",
     "F:1:10: threads must be an integer from 0 to 4096, not 'two'"},
    {"threads: -1\n",
     "F:1:10: threads must be an integer from 0 to 4096, not '-1'"},
    {"threads: 4097\n",
     "F:1:10: threads must be an integer from 0 to 4096, not '4097'"},
    {"threads: 99999999999999999999\n",
     "F:1:10: threads must be an integer from 0 to 4096, not "
     "'99999999999999999999'"},
    {"threads: 1.5\n",
     "F:1:10: threads must be an integer from 0 to 4096, not '1.5'"},
    {"threads: \"1\"\n",
     "F:1:10: threads must be an integer from 0 to 4096, not the string "
     "'1'"},
    {"threads:\n",
     "F:1:1: threads must be an integer from 0 to 4096, not nothing"},
    {"threads: [1]\n",
     "F:1:10: threads must be an integer from 0 to 4096, not a list"},
    {"threads: {a: 1}\n",
     "F:1:10: threads must be an integer from 0 to 4096, not keys and values"},
    {"prefill_chunk: 0\n",
     "F:1:16: prefill_chunk must be an integer from 1 to 65536, not '0'"},
    {"sampling:\n  top_p: 0\n",
     "F:2:10: sampling.top_p must be a number above 0 to 1, not '0'"},
    {"sampling: {top_p: nan}\n",
     "F:1:19: sampling.top_p must be a number above 0 to 1, not 'nan'"},
    {"cache.subgen.radius: 1e999\n",
     "F:1:22: cache.subgen.radius must be a number from 0 to 1000000, not "
     "'1e999'"},
    {"cache.subgen.value_share: 1\n",
     "F:1:27: cache.subgen.value_share must be a number above 0 to below 1, "
     "not '1'"},
    {"cache.seed: -1\n",
     "F:1:13: cache.seed must be an integer from 0 to 18446744073709551615, "
     "not '-1'"},
    {"backend: gpu\n",
     "F:1:10: backend must be one of cpu, cuda, reference, not 'gpu'"},
    {"rope: {scaling: ntk}\n",
     "F:1:17: rope.scaling must be one of \"\", none, linear, llama3, yarn, "
     "not 'ntk'"},
    {"model: ~\n", "F:1:1: model must be a string, not nothing"},
    {"stop: a\n",
     "F:1:7: stop must be a list of strings such as [\"a\", \"b\"], none empty,"
     " not 'a'"},
    {"stop: [a, \"\"]\n",
     "F:1:7: stop must be a list of strings such as [\"a\", \"b\"], none empty,"
     " not ["},
    {"stop: [[a]]\n",
     "F:1:8: stop must be a list of strings such as [\"a\", \"b\"], none empty,"
     " not a list in a list"},
    {"stop: [a, ~]\n", "F:1:11: stop is a list of strings; quote this one"},
    {"stop: [{a: b}]\n",
     "F:1:8: stop must be a list of strings such as [\"a\", \"b\"], none empty,"
     " not keys and values"},
    {"threads: 1\ncache: {policy: exact, policy: exact}\n",
     "F:2:24: the key cache.policy stands here twice"},
    {"cache.policy: exact\ncache: {policy: exact}\n",
     "F:2:9: the key cache.policy stands here twice"},
    {"cache: {}\ncache: {}\n", "F:2:1: the key cache stands here twice"},
    {"cache: 5\n",
     "F:1:8: cache is a section, whose keys stand below it, and cannot be "
     "'5'"},
    {"cache: [5]\n", "F:1:8: cache is a section and cannot be a list"},
    {"- a\n", "F:1:1: a list cannot stand here; needs \"key: value\""},
    {"hello\n",
     "F:1:1: needs settings, one \"key: value\" a line, not 'hello'"},
    {"{a: 1}: 2\n", "F:1:1: a key must be a name"},
    {"model: &a x\n",
     "F:1:8: anchors and aliases are not supported; write the value out"},
    {"model: !!str x\n", "F:1:8: the tag 'tag:yaml.org,2002:str' is not "},
    {"threads: 1\n---\nthreads: 2\n",
     "F:2:1: a second YAML document is not supported"},
    {"threads: 1\n  bad: [\n", "F:2:"},
    {"model: a\xFF\n", "F:1:9: the byte 0xff is not UTF-8, which YAML does"},
    {"a: b\n#\x04\nthreads: 2\n", "F:2:2: the byte 0x04 is a control chara"},
    {"cache: {budget_tokens: 5, budget_fraction: 0.5}\n",
     "cache.budget_tokens: 5 (F:1:24) and cache.budget_fraction: 0.5 (F:1:44) "
     "are budgets, of which one at most is legal; set the others to 0"},
    {"cache: {sink_tokens: 0, recent_tokens: 0}\n",
     "F:1:40: cache.recent_tokens must be an integer from 1 to 1000000000, not "
     "'0'"},
    {"cache: {kivi: {bits: 3}}\n",
     "F:1:22: cache.kivi.bits must be 2 or 4, not '3'"},
    {"cache: {subgen: {samples_per_cluster: 2000}}\n",
     "F:1:39: cache.subgen.samples_per_cluster must be an integer from 1 to "
     "1024, not '2000'"},
    {"ranks: {count: 2}\n",
     "ranks.count: 2 (F:1:16) needs comm: threads, not comm: \"auto\" "
     "(default)"},
};

TEST(ConfigErrors, NameThePlaceTheValueAndWhatIsLegal) {
  for (const BadYaml& bad : kBadYaml) {
    const std::string error = YamlError(bad.text);
    EXPECT_THAT(error, StartsWith(bad.error)) << bad.text;
    EXPECT_THAT(error, Not(HasSubstr("\n")));
  }
}

TEST(ConfigErrors, OfSettings) {
  EXPECT_EQ(SetError("threads"),
            "--set 'threads' must be key=value, as threads=4");
  EXPECT_EQ(SetError("thread=1"),
            "--set: unknown key 'thread'; did you mean threads?");
  EXPECT_EQ(SetError("cache.budgt=1"),
            "--set: unknown key 'cache.budgt'; did you mean "
            "cache.budget_tokens?");
  EXPECT_EQ(SetError("threads="),
            "--set: threads must be an integer from 0 to 4096, not ''");
  EXPECT_EQ(SetError("stop=[a, \"b"),
            "--set: stop, at byte 5: the quote that begins here is never "
            "closed");
  EXPECT_THAT(SetError("stop=[a, [b}"), StartsWith("--set: "));
  EXPECT_THAT(SetError("stop=@a"), StartsWith("--set: not YAML: "));
  EXPECT_THAT(SetError("stop=a"), StartsWith("--set: stop must be a list"));
  EXPECT_THAT(SetError("stop=[a]\n---\n[b]"),
              HasSubstr("a second YAML document"));
  EXPECT_THAT(SetError("chat.begin=\"a\" b"), StartsWith("--set: "));
  EXPECT_EQ(SetError(std::string(5000, 'x') + "=1").size(),
            SetError(std::string(6000, 'x') + "=1").size());
}

TEST(ConfigErrors, OfFiles) {
  const auto error = [](const std::string& path) {
    return std::string(LoadConfig({.yaml_path = path}).status().message());
  };
  EXPECT_EQ(error("/nowhere/a.yaml"),
            "settings file: cannot read '/nowhere/a.yaml': No such file or "
            "directory");
  EXPECT_EQ(error("/"), "settings file: cannot read '/': it is a folder");
  EXPECT_EQ(error("/dev/zero"),
            "settings file: cannot read '/dev/zero': it has more than 1048576 "
            "bytes, which is the limit");
  EXPECT_EQ(YamlError(std::string(10 << 20, '#')),
            "settings file: cannot read 'F': it has more than 1048576 bytes, "
            "which is the limit");
}

std::string Repeat(const std::string& piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

TEST(HostileYaml, DeepNestingIsRefused) {
  for (const char* piece :
       {"[", "{", "{a: ", "- ", "? ", "[{", "? - ", "!a ", "&a ", "\"", "'"}) {
    EXPECT_NE(YamlError(Repeat(piece, 100000)), "") << piece;
    EXPECT_NE(YamlError("stop: " + Repeat(piece, 100000)), "") << piece;
    EXPECT_NE(SetError("stop=" + Repeat(piece, 100000)), "") << piece;
  }
  std::string indented;
  for (int depth = 0; depth < 1000; ++depth) {
    indented += std::string(depth, ' ') + "cache:\n";
  }
  EXPECT_NE(YamlError(indented), "");
}

TEST(HostileYaml, AliasBombsAreRefused) {
  std::string bomb = "stop: &a0 [x]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "k" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last +
            ", " + last + "]\n";
  }
  EXPECT_THAT(YamlError(bomb), StartsWith("F:1:7: anchors and aliases"));
  EXPECT_NE(YamlError("cache: &a {<<: *a}\n"), "");
}

TEST(HostileYaml, LargeFilesAreQuick) {
  for (const char* piece : {"a\n", "a: b\n", ": ", "#\n", "\n", "- a\n", "? a",
                            "%TAG ! a\n", "a: |\n ", "\"a\"\n"}) {
    const int times = (1 << 20) / static_cast<int>(std::string(piece).size());
    YamlError(Repeat(piece, times));
  }
}

// Random bytes come first, then random pieces of YAML, which get further.
TEST(HostileYaml, RandomTextIsNoCrash) {
  std::mt19937_64 random(7);
  const std::string pieces[] = {
      "cache", "policy", ":",  " ",  "\n",   "  ",    "[",  "]",
      "{",     "}",      ",",  "- ", "stop", "exact", "\"", "'",
      "|",     ">",      "&a", "*a", "!",    "? ",    "#",  "---\n",
      "...\n", "%",      "\t", "~",  "1",    "<<",    "\\", "threads"};
  for (int trial = 0; trial < 2000; ++trial) {
    std::string text;
    const int length = static_cast<int>(random() % 60);
    for (int i = 0; i < length; ++i) {
      text += trial % 2 ? pieces[random() % std::size(pieces)]
                        : std::string(1, static_cast<char>(random()));
    }
    const auto config = LoadYaml(text);
    if (!config.ok()) {
      EXPECT_THAT(config.status().message(), Not(HasSubstr("\n"))) << text;
    }
    const auto by_setting = LoadConfig({.settings = {"stop=" + text}});
    if (by_setting.ok()) {
      EXPECT_TRUE(LoadYaml(DumpConfig(*by_setting)).ok()) << text;
    }
  }
}

}  // namespace
}  // namespace subgen
