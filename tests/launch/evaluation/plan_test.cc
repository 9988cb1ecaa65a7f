#include "launch/evaluation/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "engine/config/config_file.h"
#include "tests/support/model_file.h"

namespace subgen {
namespace {

using std::string_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kPolicies[] = "policies: [{name: a, cache.policy: window}]\n";

std::string ErrorOf(const std::string& yaml) {
  const auto plan = ParsePlan(kPolicies + yaml, "p.yaml");
  return std::string(plan.status().message());
}

TEST(PlanTest, EveryKey) {
  const auto plan = ParsePlan(
      "tasks: [copy, lines]\nmodes: stream\nbudgets: [0.5, 1]\n"
      "budget_of: bytes\nchunk: 64\nseeds: [3, 4]\ntexts: [a.txt, b.txt]\n"
      "policies:\n"
      "  - {name: h2o, cache.policy: heavy_hitter, cache.seed: 7}\n"
      "  - {name: all, cache.policy: exact}\n"
      "copy: {pairs: 2, tokens_a: 3, tokens_b: 4}\n"
      "perplexity: {texts: 5, prefix: 6, tokens: 17, buckets: 8}\n"
      "passkey: {lengths: 200, depths: [0, 0.5], questions: 9}\n"
      "lines: {lines: [10, 20], questions: 11, max_tokens: 12}\n"
      "attention: {texts: 13, prefix: 14, tokens: 15, per_head: true}\n",
      "p.yaml");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->tasks, ElementsAre("copy", "lines"));
  EXPECT_THAT(plan->modes, ElementsAre("stream"));
  EXPECT_THAT(plan->budgets, ElementsAre(0.5, 1.0));
  EXPECT_EQ(plan->budget_of, "bytes");
  EXPECT_EQ(plan->chunk, 64);
  EXPECT_THAT(plan->seeds, ElementsAre(3, 4));
  EXPECT_THAT(plan->texts, ElementsAre("a.txt", "b.txt"));
  ASSERT_EQ(plan->policies.size(), 2u);
  EXPECT_EQ(plan->policies[0].name, "h2o");
  EXPECT_THAT(plan->policies[0].settings,
              ElementsAre("cache.policy=heavy_hitter", "cache.seed=7"));
  EXPECT_EQ(
      plan->copy.pairs * 100 + plan->copy.tokens_a * 10 + plan->copy.tokens_b,
      234);
  EXPECT_EQ(plan->perplexity.texts, 5);
  EXPECT_EQ(plan->perplexity.prefix, 6);
  EXPECT_EQ(plan->perplexity.tokens, 17);
  EXPECT_EQ(plan->perplexity.buckets, 8);
  EXPECT_THAT(plan->passkey.lengths, ElementsAre(200));
  EXPECT_THAT(plan->passkey.depths, ElementsAre(0.0, 0.5));
  EXPECT_EQ(plan->passkey.questions, 9);
  EXPECT_THAT(plan->lines.lines, ElementsAre(10, 20));
  EXPECT_EQ(plan->lines.questions, 11);
  EXPECT_EQ(plan->lines.max_tokens, 12);
  EXPECT_EQ(plan->attention.texts, 13);
  EXPECT_EQ(plan->attention.prefix, 14);
  EXPECT_EQ(plan->attention.tokens, 15);
  EXPECT_TRUE(plan->attention.per_head);
}

TEST(PlanTest, MistakesAreNamed) {
  EXPECT_THAT(ErrorOf("task: copy\n"),
              testing::AllOf(HasSubstr("p.yaml"), HasSubstr("task"),
                             HasSubstr("tasks")));
  EXPECT_THAT(ErrorOf("tasks: [copy, cpoy]\n"),
              testing::AllOf(HasSubstr("cpoy"), HasSubstr("passkey")));
  EXPECT_THAT(ErrorOf("budgets: [0.5, 1.5]\n"), HasSubstr("1.5"));
  EXPECT_THAT(ErrorOf("budgets: []\n"), HasSubstr("budgets"));
  EXPECT_THAT(ErrorOf("chunk: many\n"), HasSubstr("many"));
  EXPECT_THAT(ErrorOf("chunk: nan\n"), HasSubstr("nan"));
  EXPECT_THAT(ErrorOf("chunk: 1.5\n"), HasSubstr("1.5"));
  EXPECT_THAT(ErrorOf("chunk: [1, 2]\n"), HasSubstr("chunk"));
  EXPECT_THAT(ErrorOf("copy: {pears: 1}\n"),
              testing::AllOf(HasSubstr("copy"), HasSubstr("pears")));
  EXPECT_THAT(ErrorOf("copy: 3\n"), HasSubstr("copy"));
  EXPECT_THAT(ErrorOf("texts: {a: b}\n"), HasSubstr("texts"));
  EXPECT_THAT(ErrorOf("perplexity: {prefix: 9, tokens: 9}\n"),
              HasSubstr("perplexity"));
  EXPECT_THAT(ErrorOf("attention: {per_head: 1}\n"), HasSubstr("per_head"));
  EXPECT_THAT(ErrorOf("a: b: c\n"), HasSubstr("p.yaml"));
  EXPECT_THAT(ErrorOf("{"), HasSubstr("p.yaml"));
}

TEST(PlanTest, PoliciesNeedNamesAndDiffer) {
  const auto error = [](const std::string& yaml) {
    return std::string(ParsePlan(yaml, "p.yaml").status().message());
  };
  EXPECT_THAT(error("tasks: copy\n"), HasSubstr("policies"));
  EXPECT_THAT(error(""), HasSubstr("policies"));
  EXPECT_THAT(error("- a\n"), HasSubstr("map"));
  EXPECT_THAT(error("policies: [{cache.policy: exact}]\n"), HasSubstr("name"));
  EXPECT_THAT(error("policies: [{name: a}, {name: a}]\n"), HasSubstr("twice"));
  EXPECT_THAT(error("policies: [{name: a, cache.seed: [1]}]\n"),
              HasSubstr("cache.seed"));
  EXPECT_THAT(error("policies: [[a]]\n"), HasSubstr("policies[0]"));
}

std::string LoadError(const std::string& path) {
  return std::string(LoadPlan(path).status().message());
}

TEST(PlanTest, FilesThatAreNoPlansAreNamed) {
  EXPECT_EQ(LoadError("/"), "plan: cannot read '/': it is a folder");
  EXPECT_EQ(LoadError("/nowhere.yaml"),
            "plan: cannot read '/nowhere.yaml': No such file or directory");
  EXPECT_THAT(LoadError("/dev/zero"), HasSubstr("more than 1048576 bytes"));
  EXPECT_EQ(LoadError("/dev/null"),
            "plan: '/dev/null' is empty; configs/evaluation has examples");
  const std::string path = TestPath("plan.yaml");
  std::ofstream(path) << " \n\n";
  EXPECT_THAT(LoadError(path), HasSubstr("is empty"));
  std::ofstream(path) << "tasks: copy\n\xff\n";
  EXPECT_EQ(LoadError(path), path +
                                 ":2:1: the byte 0xff is not UTF-8, which "
                                 "YAML does not allow");
  std::ofstream(path) << "tasks: copy\0\n"s << kPolicies;
  EXPECT_THAT(LoadError(path), HasSubstr("control character"));
}

TEST(PlanTest, PipesAreRead) {
  const std::string path = TestPath("plan.fifo");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path) << kPolicies; });
  const auto plan = LoadPlan(path);
  writer.join();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->policies.size(), 1u);
}

TEST(PlanTest, AQuoteThatIsNeverClosedIsNamedWhereItBegan) {
  EXPECT_EQ(ErrorOf("budgets: \"0.5\nchunk: 4\n"),
            "p.yaml:2:10: the quote that begins here is not closed before line "
            "3, 'chunk: 4'");
  EXPECT_EQ(ErrorOf("texts: [a, 'b]\n"),
            "p.yaml:2:12: the quote that begins here is never closed");
  EXPECT_EQ(ErrorOf("texts: [\"a\n  b\", 'c']  # 5\" and it's\n"), "");
}

// The plans have deep nesting, and aliases that would grow to 10^9 nodes.
TEST(PlanTest, HostileYamlIsRefused) {
  EXPECT_NE(ErrorOf("texts: " + std::string(100000, '[') + "\n"), "");
  std::string bomb = "x0: &x0 [a]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string last = "*x" + std::to_string(i - 1);
    bomb += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [" + last;
    for (int j = 1; j < 10; ++j) bomb += ", " + last;
    bomb += "]\n";
  }
  EXPECT_THAT(ErrorOf(bomb), HasSubstr("unknown key"));
  EXPECT_NE(ErrorOf("texts: &t [*t]\n"), "");
  EXPECT_NE(ErrorOf(std::string(2 << 20, '#')), "");
}

TEST(PlanTest, EveryPlanOfTheFolderLoads) {
  int plans = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           SUBGEN_SOURCE_DIR "/configs/evaluation")) {
    if (entry.path().extension() != ".yaml") continue;
    const auto plan = LoadPlan(entry.path().string());
    ASSERT_TRUE(plan.ok()) << plan.status();
    for (const PolicyChoice& policy : plan->policies) {
      const auto config = LoadConfig({.settings = policy.settings});
      EXPECT_TRUE(config.ok()) << entry.path() << config.status();
    }
    ++plans;
  }
  EXPECT_GE(plans, 6);
}

}  // namespace
}  // namespace subgen
