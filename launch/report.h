// What a generation cost, for people and for programs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/decode/engine.h"

namespace subgen {

struct GenerationReport {
  std::vector<int> prompt_tokens;
  GenerationResult result;
  RankTotals totals;
  int ranks = 1;
  GridShape grid;
  std::string policy;
  std::string backend;
  std::string note;  // a line on how the backend ran, or empty
};

// A few lines for standard error: speed, share of communication, cache held.
std::string Summary(const GenerationReport& report);

// The same as a JSON object, with tokens, text and top_logits.
std::string ToJson(const GenerationReport& report);

// A file that holds one report, the last, whole or not at all. Open fails early
// where the path cannot be written.
class ReportFile {
 public:
  // An empty path writes nothing.
  static absl::StatusOr<ReportFile> Open(const std::string& path);
  absl::Status Write(const std::string& contents) const;

 private:
  explicit ReportFile(std::string path) : path_(std::move(path)) {}
  std::string Temporary() const { return path_ + ".part"; }

  std::string path_;
};

}  // namespace subgen
