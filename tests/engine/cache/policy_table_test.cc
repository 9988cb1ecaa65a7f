// What is said of a policy is said once: the tables of policies and of settings
// agree, and what measures a policy passes every call on.
#include "engine/cache/policy_table.h"

#include <set>

#include "engine/cache/forwarding_policy.h"
#include "engine/cache/policy_entry.h"
#include "engine/config/fields.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

TEST(PolicyTable, NamesAreThoseOfTheTableOfSettings) {
  std::vector<absl::string_view> names;
  for (const PolicyEntry* policy : Policies()) {
    if (policy == &kRing) continue;  // of the tests
    names.push_back(policy->name);
    EXPECT_EQ(FindPolicy(policy->name), policy);
    EXPECT_FALSE(policy->help.empty()) << policy->name;
    EXPECT_TRUE(policy->make == nullptr || !policy->source.empty());
  }
  EXPECT_EQ(FindField("cache.policy")->legal.names, names);
  EXPECT_EQ(FindPolicy("lru"), nullptr);
}

// A row that says that heads may differ has a sketch with limits, and one that
// needs scores has a score for each row: both would end the program here.
TEST(PolicyTable, SketchesDoWhatTheirRowsSay) {
  for (CacheConfig config : AllPolicies(40)) {
    const PolicyEntry& policy = *FindPolicy(config.policy);
    const bool differ = policy.head_budgets != nullptr &&
                        policy.head_budgets(config) != HeadBudgets::kEqual;
    CacheShape shape = Shape(8, 10000);
    if (differ) shape.head_shares = {{1.5, {1.5, 0.5}}};
    CacheDriver driver(config, shape, RandomStream(1, 8));
    EXPECT_LE(driver.policy().needs(), policy.needs) << Name(config);
    for (int i = 0; i < 12; ++i) driver.Step({{0, 10, i == 8}});
    EXPECT_EQ(driver.policy().Stats(0).tokens_seen, 120) << Name(config);
    config.head_budgets = "spread";
    RecordingBackend backend;
    StepWork work(backend);
    EXPECT_EQ(MakeCachePolicy(config, shape, work).ok(),
              differ || policy.make == nullptr)
        << Name(config);
  }
}

// This takes down what it is asked for.
class Recorder final : public CachePolicy {
 public:
  explicit Recorder(std::multiset<std::string>* calls) : calls_(*calls) {}
  Needs needs() const override {
    calls_.insert("needs");
    return Needs::kQueries;
  }
  int64_t Dropped(int) const override {
    calls_.insert("Dropped");
    return 5;
  }
  void Attend(const LayerStep&, const SoftmaxPartials&) override {
    calls_.insert("Attend");
  }
  void Observe(const LayerStep&, Vector<const float>) override {
    calls_.insert("Observe");
  }
  void Append(const LayerStep&) override { calls_.insert("Append"); }
  void EndStep() override { calls_.insert("EndStep"); }
  void Forget(int) override { calls_.insert("Forget"); }
  CacheStats Stats(int) const override {
    calls_.insert("Stats");
    return {};
  }
  std::string Save(int) const override {
    calls_.insert("Save");
    return "";
  }
  absl::Status Load(int, absl::string_view) override {
    calls_.insert("Load");
    return absl::OkStatus();
  }

 private:
  std::multiset<std::string>& calls_;
};

TEST(ForwardingPolicy, PassesEveryCallOn) {
  std::multiset<std::string> calls;
  ForwardingPolicy policy(std::make_unique<Recorder>(&calls));
  EXPECT_EQ(policy.needs(), Needs::kQueries);
  EXPECT_EQ(policy.Dropped(0), 5);
  policy.Attend({}, {});
  policy.Observe({}, {});
  policy.Append({});
  policy.EndStep();
  policy.Forget(0);
  policy.Stats(0);
  policy.Save(0);
  EXPECT_TRUE(policy.Load(0, "").ok());
  EXPECT_EQ(calls, (std::multiset<std::string>{
                       "needs", "Dropped", "Attend", "Observe", "Append",
                       "EndStep", "Forget", "Stats", "Save", "Load"}));
}

}  // namespace
}  // namespace subgen::testing
