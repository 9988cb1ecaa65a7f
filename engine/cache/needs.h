// Needs say what a cache policy must be shown besides keys and values.
#pragma once

namespace subgen {

// Each includes those before it.
enum class Needs {
  kNothing,
  // Observe is called, so that the backend can add up the attention mass that
  // each row receives; nothing is read on the host.
  kScores,
  // Observe reads queries and log-partition on the host, so they are brought
  // there.
  kQueries,
};

}  // namespace subgen
