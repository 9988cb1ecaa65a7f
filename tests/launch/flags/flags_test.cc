#include "launch/flags/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "engine/config/config_file.h"
#include "launch/flags/manual.h"

namespace subgen {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Path(const std::string& name) {
  return testing::TempDir() + "/flags_test_" + std::to_string(getpid()) + name;
}

// This has one flag of each kind.
struct Line {
  bool quick = false;
  int count = 3;
  int64_t tokens = 0;
  double share = 0.5;
  std::string text, place;
  std::vector<std::string> names;
  ConfigSources sources;
  std::string model;

  ProgramFlags Program() {
    ProgramFlags program = {"subgen_thing",
                            "Does a thing.\nSecond line.",
                            {{"--quick", &quick, "Be quick"},
                             {"-c,--count", &count, "How many", "COUNT", 1, 9},
                             {"--tokens", &tokens, "Long ones"},
                             {"--share", &share, "A part", "PART", 0.0, 1.0},
                             {"--text", &text, "What's said"},
                             {"--name", &names, "A name", "NAME"},
                             {"place", &place, "Where", "PLACE"}},
                            {"subgen_thing --quick"}};
    for (const Flag& flag : SettingFlags(&sources, &model)) {
      program.flags.push_back(flag);
    }
    return program;
  }
  absl::StatusOr<std::string> Parse(std::vector<const char*> words) {
    words.insert(words.begin(), "subgen_thing");
    return ParseFlags(Program(), static_cast<int>(words.size()), words.data());
  }
  std::string Refusal(std::vector<const char*> words) {
    return std::string(Parse(std::move(words)).status().message());
  }
};

TEST(FlagsTest, FillsTargetsOfEveryKind) {
  Line line;
  const auto parsed =
      line.Parse({"--quick", "-c", "7", "--tokens=5000000000", "--share", "1",
                  "--text", "a b", "here", "--name", "x", "--name", "y",
                  "--set", "threads=2", "--set", "max_tokens=4"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, "");
  EXPECT_TRUE(line.quick);
  EXPECT_EQ(line.count, 7);
  EXPECT_EQ(line.tokens, 5000000000);
  EXPECT_EQ(line.share, 1.0);
  EXPECT_EQ(line.text, "a b");
  EXPECT_EQ(line.place, "here");
  EXPECT_THAT(line.names, ElementsAre("x", "y"));
  EXPECT_THAT(line.sources.settings, ElementsAre("threads=2", "max_tokens=4"));
}

TEST(FlagsTest, DefaultsStayWhereNothingIsGiven) {
  Line line;
  ASSERT_TRUE(line.Parse({}).ok());
  EXPECT_EQ(line.count, 3);
  EXPECT_EQ(line.share, 0.5);
}

TEST(FlagsTest, RefusalsNameTheWordAndWhatIsLegal) {
  EXPECT_THAT(Line().Refusal({"--conut", "3"}),
              AllOf(HasSubstr("'--conut'"), HasSubstr("--count")));
  EXPECT_THAT(Line().Refusal({"--tixt=a"}), HasSubstr("--text"));
  EXPECT_THAT(Line().Refusal({"here", "there"}), HasSubstr("there"));
  EXPECT_THAT(Line().Refusal({"--count", "10"}),
              AllOf(HasSubstr("from 1 to 9"), HasSubstr("10")));
  EXPECT_THAT(Line().Refusal({"--count", "many"}), HasSubstr("many"));
  EXPECT_THAT(Line().Refusal({"--share", "nan"}), HasSubstr("from 0 to 1"));
  EXPECT_THAT(Line().Refusal({"--model", "a", "--model", "b"}),
              HasSubstr("--model"));
  EXPECT_THAT(Line().Refusal({"--text"}), HasSubstr("--text"));
}

TEST(FlagsTest, RequiredFlagsAreNotNeededForTexts) {
  Line line;
  ProgramFlags program = line.Program();
  program.flags[0].required = true;
  for (const char* word : {"--help", "--version", "--man", "--completion"}) {
    const char* words[] = {"subgen_thing", word};
    const auto text = ParseFlags(program, 2, words);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_THAT(*text, HasSubstr("subgen_thing")) << word;
  }
}

TEST(FlagsTest, EveryFlagStandsInHelpAndManPage) {
  Line line;
  const std::string help = *line.Parse({"--help"});
  const std::string man = *line.Parse({"--man"});
  for (const Flag& flag : line.Program().flags) {
    EXPECT_THAT(help, HasSubstr(flag.help));
    if (flag.help.find('-') == std::string::npos) {
      EXPECT_THAT(man, HasSubstr(flag.help));
    }
  }
}

TEST(FlagsTest, ManReadsThePage) {
  if (std::system("command -v man > /dev/null") != 0) {
    GTEST_SKIP() << "man is not installed";
  }
  const std::string page = Path("page.1");
  std::ofstream(page) << *Line().Parse({"--man"});
  const std::string command = absl::StrCat("man --warnings=all -l ", page,
                                           " 2>&1 >/dev/null | grep -q .");
  EXPECT_NE(std::system(command.c_str()), 0) << "man warned";
}

// Returns what bash offers for a line, asked of bash.
std::string Completed(const std::string& words, int at) {
  const std::string script = Path("completion");
  std::ofstream(script)
      << *Line().Parse({"--completion"})
      << absl::StrCat("compopt() { :; }\nCOMP_WORDS=(", words,
                      ")\nCOMP_CWORD=", at,
                      "\n_subgen_thing\nprintf '%s ' \"${COMPREPLY[@]}\"\n");
  FILE* pipe = popen(absl::StrCat("bash ", script).c_str(), "r");
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), pipe));
  EXPECT_EQ(pclose(pipe), 0) << text;
  return text;
}

TEST(FlagsTest, BashCompletesFlagsKeysAndValues) {
  EXPECT_EQ(Completed("subgen_thing --cou", 1), "--count ");
  EXPECT_EQ(Completed("subgen_thing --set cache.kivi.b", 2),
            "cache.kivi.bits= ");
  // The words are as readline gives them, = being a word of its own.
  EXPECT_EQ(Completed("subgen_thing --set backend = cu", 4), "cuda ");
  EXPECT_EQ(Completed("subgen_thing --set cache.when =", 3), "once stream ");
  EXPECT_EQ(Completed("subgen_thing --set backend=cu", 2), "backend=cuda ");
}

}  // namespace
}  // namespace subgen
