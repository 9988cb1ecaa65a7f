#include "engine/config/yaml_quotes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/engine/config/temporary_file.h"

namespace subgen {
namespace {

// Returns "line:column: message", or nothing where there is no mistake.
std::string Mistake(const std::string& text) {
  const auto mistake = FindQuoteMistake(text);
  if (!mistake.has_value()) return "";
  return absl::StrCat(mistake->line, ":", mistake->column, ": ",
                      mistake->message);
}

// Returns the same text with the other kind of quote.
std::string Turned(std::string text) {
  for (char& c : text) c = c == '"' ? '\'' : c == '\'' ? '"' : c;
  return text;
}

TEST(QuoteMistake, IsWhereTheQuoteBeganAndNotWhereTheFileEnds) {
  struct Case {
    const char* text;
    const char* place;
  };
  constexpr Case kCases[] = {
      {"model: \"a.gguf\n", "1:8: "},
      {"model: \"a.gguf", "1:8: "},
      {"model: \"", "1:8: "},
      {"\"", "1:1: "},
      {"model: \"a.gguf\r\nthreads: 2\r\n", "1:8: "},
      {"\xef\xbb\xbfmodel: \"a.gguf\n", "1:8: "},
      {"threads: 1\nmodel: \"a\n\n\n\n", "2:8: "},
      {"stop: [a, \"b]\nthreads: 2\n", "1:11: "},
      {"stop: [a, \"b\n", "1:11: "},
      {"stop:\n  - a\n  - \"b\n  - c\n", "3:5: "},
      {"stop:\n- \"b\n- c\n", "2:3: "},
      {"cache: {policy: \"exact, seed: 4}\nthreads: 2\n", "1:17: "},
      {"cache: {\"policy: exact, seed: 4}\n", "1:9: "},
      {"cache:\n  policy: \"exact\n  seed: 4\n", "2:11: "},
      {"cache:\n  policy: \"exact\nthreads: 4\n", "2:11: "},
      {"threads: 1\n\"model: a\n", "2:1: "},
      {"model:\n  \"a.gguf\nthreads: 2\n", "2:3: "},
      {"# a\nmodel: !!str \"a\n", "2:14: "},
      {"model: \"a\n---\nthreads: 1\n", "1:8: "},
      {"a: b\nmodel: \"a\n...\n", "2:8: "},
      {"policies:\n  - name: \"h2o\n    cache.policy: exact\n", "2:11: "},
      {"policies:\n  - {name: \"h2o, seed: 1}\n  - {name: a}\n", "2:12: "},
      // The next quote, of another value, would close it.
      {"model: \"a\nthreads: 2\nbackend: \"cpu\"\n", "1:8: "},
      {"model: \"a\nbackend: \"\n", "1:8: "},
      {"model: \"a\n# said \"so\"\nthreads: 2\n", "1:8: "},
      {"model: \"a\n# a 5\" disk\n", "1:8: "},
      {"stop: [\"a, \"b\"]\n", "1:8: "},
      {"stop:\n  - \"a\n  - \"b\"\n", "2:5: "},
      {"model: \"a \"quoted\" name\"\n", "1:8: "},
      {"threads: \"1\" \"\n", "1:10: "},
      {"- \"a\n- \"\"b\n", "1:3: "},
  };
  for (const Case& bad : kCases) {
    EXPECT_THAT(Mistake(bad.text), testing::StartsWith(bad.place)) << bad.text;
    EXPECT_THAT(Mistake(Turned(bad.text)), testing::StartsWith(bad.place))
        << Turned(bad.text);
  }
}

TEST(QuoteMistake, WordForWord) {
  EXPECT_EQ(Mistake("model: \"a\\\"\n"),
            "1:8: the quote that begins here is never closed");
  EXPECT_EQ(Mistake("model: 'it''s\n"),
            "1:8: the quote that begins here is never closed");
  EXPECT_EQ(Mistake("model: \"a\n\nthreads: 2\nseed: \"1\"\n"),
            "1:8: the quote that begins here is not closed before line 3, "
            "'threads: 2'");
  EXPECT_EQ(Mistake("model: 'it's here'\n"),
            "1:8: the quote that begins here ends before line 1, 's here\\'', "
            "where a line end or a comma should stand; inside, ' is written "
            "''");
  EXPECT_EQ(Mistake("model: \"a\n  b\" c\n"),
            "1:8: the quote that begins here ends before line 2, 'c', where a "
            "line end or a comma should stand; inside, \" is written \\\"");
}

TEST(QuoteMistake, ClosedQuotesAreLegal) {
  for (const char* text :
       {"", "a: \"\"\n", "a: \"b\"", "a: \"b\"  # c\"\n", "a: \"b\"\r\nc: d\n",
        "\"a\": b\n", "\"a\" : \"b\"\n", "[\"a\",\"b\" , \"c\"]",
        "{\"a\":\"b\",\"c\": \"d\"}", "- \"a\"\n- \"b\"\n",
        "? \"a\"\n: \"b\"\n", "a: !!str \"b\"\n", "a: &x \"b\"\nc: *x\n",
        // These are of several lines.
        "a: \"b\n  c\n\n  d\"\ne: f\n", "a:\n  \"b\n  c: d\"\n",
        "a: \"b\n  - c\n  # d\n  e: f\"\n", "a:\n  b: \"c\n    d: e\"\n",
        "a: \"b\nthe rest\"\n", "a: \"b\n\"\n", "a: \"b\r\n  c\"\r\nd: e\r\n",
        "- \"a\n  - b\"\n- c\n", "- a: \"b\n    c: d\"\n",
        "a: [\"b\n  c\", \"d\n  e: f\"]\n",
        "a: {b: \"c\n  d\",\n  e: \"f\"}\n"}) {
    EXPECT_EQ(Mistake(text), "") << text;
    EXPECT_EQ(Mistake(Turned(text)), "") << Turned(text);
  }
}

TEST(QuoteMistake, QuotesInsideAreWrittenTwiceOrBehindABackslash) {
  EXPECT_EQ(Mistake("a: \"b \\\" c\"\n"), "");
  EXPECT_EQ(Mistake("a: \"b\\\\\"\n"), "");
  EXPECT_EQ(Mistake("a: 'b '' c'\n"), "");
  EXPECT_EQ(Mistake("a: 'b\\'\n"), "");
  EXPECT_NE(Mistake("a: \"b \"\" c\"\n"), "");
  EXPECT_NE(Mistake("a: 'b \\' c'\n"), "");
}

TEST(QuoteMistake, QuotesThatOpenNothing) {
  for (const char* text :
       {"a: b  # it's 5\" wide\n", "# \"\na: b\n", "a: it's\n", "a: 5\"\n",
        "a: b\"c\n", "a: b \"c\n", "a: b\n  \"c\n", "a: [b\"c, d 'e]\n",
        "a: |\n  \"b\n  it's\nc: d\n", "a: >-\n  \"b\n\n  c\n",
        "a: |2\n    \"b\n  'c\nd: e\n", "- |\n  \"a\n- >\n  'b\n",
        "a:\n  - b: |\n      \"c\n  - d\n", "a: |\n\n  # \"\nb: c\n",
        "a: \"# b\"\nc: d\n", "a: 'b \" c'\n", "a: \"b ' c\"\n", "a: 'it''s'\n",
        "a: \"it's\"  # 5\"\n"}) {
    EXPECT_EQ(Mistake(text), "") << text;
  }
}

TEST(QuoteMistake, SettingsFilesNameIt) {
  EXPECT_EQ(YamlError("threads: 1\nmodel: \"a.gguf\ncache:\n  seed: 1\n"),
            "F:2:8: the quote that begins here is not closed before line 3, "
            "'cache:'");
  EXPECT_EQ(YamlError("threads: 1\nmodel: 'a.gguf\n"),
            "F:2:8: the quote that begins here is never closed");
  const auto config =
      LoadYaml("chat:\n  begin: \"one\n    two: three\"  # it's\nthreads: 1\n");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->chat.begin, "one two: three");
}

// Every line of every setting is tried without the quote at its end.
TEST(QuoteMistake, IsFoundInEveryLineOfADump) {
  const std::vector<std::string> lines =
      absl::StrSplit(DumpConfig(EngineConfig()), '\n');
  int quotes = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t open = lines[i].find('"');
    if (open == std::string::npos || open > lines[i].find('#')) continue;
    std::vector<std::string> damaged = lines;
    damaged[i].erase(lines[i].find('"', open + 1), 1);
    EXPECT_THAT(YamlError(absl::StrJoin(damaged, "\n")),
                testing::StartsWith(absl::StrCat("F:", i + 1, ":", open + 1,
                                                 ": the quote that begins")))
        << lines[i];
    ++quotes;
  }
  EXPECT_GE(quotes, 3);
}

TEST(QuoteMistake, LargeTextsAreQuick) {
  for (const char* piece : {"\"", "'", "\"a\",", "\"a\"\n", "\"a\nb\",",
                            "- \"a\n", "[\"a\n", "{", "\"\\", "''"}) {
    const auto start = std::chrono::steady_clock::now();
    for (const char* front : {"", "a: [", "a: \""}) {
      std::string text = front + std::string(1 << 15, ' ');
      while (text.size() < 1 << 19) text += piece;
      Mistake(text);
    }
    const std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - start;
    EXPECT_LT(spent.count(), 60.0) << piece;  // quadratic: many minutes
  }
}

}  // namespace
}  // namespace subgen
