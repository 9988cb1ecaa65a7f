// This is the reference backend, noting what a policy shows to attention.
#pragma once

#include <limits>
#include <tuple>
#include <vector>

#include "kernels/reference/reference_backend.h"
#include "tests/engine/cache/token_stream.h"

namespace subgen::testing {

// This is a row as a policy shows it to attention.
struct SeenRow {
  Floats key, value;  // value empty where there is none
  float partition_bias = 0.0f;
  float value_bias = -std::numeric_limits<float>::infinity();
  const void* partials = nullptr;  // tells heads apart

  bool operator==(const SeenRow& other) const {
    return key == other.key && value == other.value &&
           partition_bias == other.partition_bias &&
           value_bias == other.value_bias;
  }
  bool operator<(const SeenRow& other) const {
    return std::tie(value, key) < std::tie(other.value, other.key);
  }
};

class RecordingBackend final : public ReferenceBackend {
 public:
  absl::string_view name() const override { return "recording"; }
  void Attend(Vector<const AttentionTask> tasks) override {
    if (!recording) return ReferenceBackend::Attend(tasks);
    for (const AttentionTask& task : tasks) Note(task);
  }
  void Distances(Vector<const DistanceTask> tasks) override {
    ReferenceBackend::Distances(tasks);
    for (const DistanceTask& task : tasks) distances += task.rows.count;
  }
  void InsertCenters(Vector<const CenterTask> tasks) override {
    ++center_calls;
    ReferenceBackend::InsertCenters(tasks);
  }

  bool recording = false;
  std::vector<SeenRow> seen;
  int64_t distances = 0;  // computed so far
  int64_t center_calls = 0;

 private:
  void Note(const AttentionTask& task) {
    const WeightedRows& rows = task.rows;
    for (int64_t i = 0; i < rows.keys.count; ++i) {
      SeenRow row;
      row.partials = task.out.partition.data();
      row.key.resize(rows.keys.dim);
      DecodeRow(rows.keys.format, rows.keys.row(i), row.key);
      if (!rows.partition_bias.empty()) {
        row.partition_bias = rows.partition_bias[i];
      }
      if (rows.values.count > 0) {
        row.value.resize(rows.values.dim);
        DecodeRow(rows.values.format, rows.values.row(i), row.value);
        row.value_bias = rows.value_bias.empty() ? 0.0f : rows.value_bias[i];
      }
      seen.push_back(row);
    }
  }
};

}  // namespace subgen::testing
