#include "launch/evaluation/plan.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "engine/config/yaml_reader.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"
#include "launch/evaluation/plan_reader.h"

namespace subgen {
namespace {

constexpr NumberRange kItems = {1, 1e6};
constexpr NumberRange kTokens = {1, 1e7};

void ReadTasks(PlanReader& reader, EvaluationPlan& plan) {
  reader.ReadMap("copy", [&](PlanReader& copy) {
    copy.Read("pairs", kItems, &plan.copy.pairs);
    copy.Read("tokens_a", {2, 1e7}, &plan.copy.tokens_a);
    copy.Read("tokens_b", kTokens, &plan.copy.tokens_b);
  });
  reader.ReadMap("perplexity", [&](PlanReader& perplexity) {
    perplexity.Read("texts", kItems, &plan.perplexity.texts);
    perplexity.Read("prefix", kTokens, &plan.perplexity.prefix);
    perplexity.Read("tokens", kTokens, &plan.perplexity.tokens);
    perplexity.Read("buckets", {1, 1000}, &plan.perplexity.buckets);
    if (plan.perplexity.tokens - plan.perplexity.prefix <
        plan.perplexity.buckets) {
      perplexity.Fail("tokens", "must be prefix and one token a bucket more");
    }
  });
  reader.ReadMap("passkey", [&](PlanReader& passkey) {
    passkey.Read("lengths", {128, 1e7}, &plan.passkey.lengths);
    passkey.Read("depths", {0, 1}, &plan.passkey.depths);
    passkey.Read("questions", kItems, &plan.passkey.questions);
  });
  reader.ReadMap("lines", [&](PlanReader& lines) {
    lines.Read("lines", {1, 4096}, &plan.lines.lines);
    lines.Read("questions", kItems, &plan.lines.questions);
    lines.Read("max_tokens", {1, 4096}, &plan.lines.max_tokens);
  });
  reader.ReadMap("attention", [&](PlanReader& attention) {
    attention.Read("texts", kItems, &plan.attention.texts);
    attention.Read("prefix", kTokens, &plan.attention.prefix);
    attention.Read("tokens", kTokens, &plan.attention.tokens);
    attention.Read("per_head", &plan.attention.per_head);
    if (plan.attention.tokens <= plan.attention.prefix) {
      attention.Fail("tokens", "must be more than prefix");
    }
  });
}

void ReadPolicies(PlanReader& reader, EvaluationPlan& plan) {
  std::set<std::string> names;
  reader.ReadMaps("policies", [&](PlanReader& each) {
    PolicyChoice policy;
    each.Read("name", {}, &policy.name);
    policy.settings = each.Rest();
    if (policy.name.empty()) {
      each.Fail("name", "must say what the policy is called in the tables");
    }
    if (!names.insert(policy.name).second) {
      each.Fail("name", absl::StrCat(Quoted(policy.name), " stands twice"));
    }
    plan.policies.push_back(std::move(policy));
  });
  if (plan.policies.empty()) {
    reader.Fail("policies",
                "names none; give a list of maps, as {name: h2o, "
                "cache.policy: heavy_hitter}");
  }
}

}  // namespace

absl::StatusOr<EvaluationPlan> ParsePlan(const std::string& yaml,
                                         const std::string& place) {
  RETURN_IF_ERROR(CheckYamlText(yaml, place));
  EvaluationPlan plan;
  try {
    PlanReader reader(YAML::Load(yaml), place);
    reader.Read("tasks",
                {"copy", "perplexity", "passkey", "lines", "attention"},
                &plan.tasks);
    reader.Read("modes", {"once", "stream"}, &plan.modes);
    reader.Read("budgets", {1e-6, 1}, &plan.budgets);
    reader.Read("budget_of", {"rows", "bytes"}, &plan.budget_of);
    reader.Read("chunk", {1, 65536}, &plan.chunk);
    reader.Read("seeds", {0, 1e9}, &plan.seeds);
    reader.Read("texts", {}, &plan.texts);
    ReadPolicies(reader, plan);
    ReadTasks(reader, plan);
    RETURN_IF_ERROR(reader.Finish());
  } catch (const std::exception& error) {  // yaml-cpp's own, and its strings'
    return absl::InvalidArgumentError(absl::StrCat(place, ": ", error.what()));
  }
  return plan;
}

absl::StatusOr<EvaluationPlan> LoadPlan(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string yaml, ReadYamlText("plan", path));
  if (yaml.find_first_not_of(" \t\r\n") == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "plan: ", Quoted(path), " is empty; configs/evaluation has examples"));
  }
  return ParsePlan(yaml, path);
}

}  // namespace subgen
