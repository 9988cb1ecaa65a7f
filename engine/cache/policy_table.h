// This is the table of cache policies. A new one is a file that ends with its
// row, and the row in policy_table.cc.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace subgen {

struct PolicyEntry;

// Returns the rows in the order of the documentation.
std::vector<const PolicyEntry*> Policies();

// Returns null where there is none.
const PolicyEntry* FindPolicy(absl::string_view name);
// Returns InvalidArgument with the legal names where there is none.
absl::StatusOr<const PolicyEntry*> PolicyNamed(absl::string_view name);

// Adds a row beyond those of the engine, for whoever links a policy of their
// own. The row stays as long as the process. It is called before any engine is
// made, from one thread.
void AddPolicy(const PolicyEntry& entry);

}  // namespace subgen
