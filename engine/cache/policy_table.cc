#include "engine/cache/policy_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/cache/policy_entry.h"

namespace subgen {

// Each row stands at the end of its file in policies/.
extern const PolicyEntry kExact;
extern const PolicyEntry kWindow;
extern const PolicyEntry kHeavyHitter;
extern const PolicyEntry kUniform;
extern const PolicyEntry kKeyDiff;
extern const PolicyEntry kSnapKv;
extern const PolicyEntry kKivi;
extern const PolicyEntry kSubgen;

namespace {

std::vector<const PolicyEntry*>& Table() {
  static std::vector<const PolicyEntry*>& table =
      *new std::vector<const PolicyEntry*>{&kExact,   &kWindow,  &kHeavyHitter,
                                           &kUniform, &kKeyDiff, &kSnapKv,
                                           &kKivi,    &kSubgen};
  return table;
}

}  // namespace

std::vector<const PolicyEntry*> Policies() { return Table(); }

const PolicyEntry* FindPolicy(absl::string_view name) {
  for (const PolicyEntry* policy : Table()) {
    if (policy->name == name) return policy;
  }
  return nullptr;
}

absl::StatusOr<const PolicyEntry*> PolicyNamed(absl::string_view name) {
  if (const PolicyEntry* policy = FindPolicy(name)) return policy;
  const auto name_of = [](std::string* out, const PolicyEntry* policy) {
    absl::StrAppend(out, policy->name);
  };
  return absl::InvalidArgumentError(
      absl::StrCat("cache.policy = ", name, ": legal are ",
                   absl::StrJoin(Table(), ", ", name_of)));
}

void AddPolicy(const PolicyEntry& entry) { Table().push_back(&entry); }

}  // namespace subgen
