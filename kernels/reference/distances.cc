#include "kernels/reference/distances.h"

#include <cmath>
#include <vector>

namespace subgen::reference {
namespace {

double Length(Vector<const float> row) {
  double sum = 0.0;
  for (const float x : row) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

// Returns the factor that a row is multiplied by.
double Scale(const DistanceTask& task, Vector<const float> row) {
  if (!task.directions) return 1.0;
  const double length = Length(row);
  return length > 0.0 ? 1.0 / length : 0.0;
}

}  // namespace

void Distances(const DistanceTask& task) {
  SUBGEN_CHECK(static_cast<int64_t>(task.squared.size()) == task.rows.count);
  std::vector<float> row(task.rows.dim);
  const double point_scale = Scale(task, task.point);
  for (int64_t j = 0; j < task.rows.count; ++j) {
    DecodeRow(task.rows.format, task.rows.row(j), row);
    const double row_scale = Scale(task, row);
    double sum = 0.0;
    for (int64_t i = 0; i < task.rows.dim; ++i) {
      const double difference =
          point_scale * task.point[i] - row_scale * row[i];
      sum += difference * difference;
    }
    task.squared[j] = static_cast<float>(sum);
  }
}

}  // namespace subgen::reference
