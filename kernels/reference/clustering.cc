#include "kernels/reference/clustering.h"

#include <vector>

namespace subgen::reference {

void Distances(const DistanceTask& task) {
  SUBGEN_CHECK(static_cast<int64_t>(task.squared.size()) == task.rows.count);
  std::vector<float> row(task.rows.dim);
  for (int64_t j = 0; j < task.rows.count; ++j) {
    DecodeRow(task.rows.format, task.rows.row(j), row);
    double sum = 0.0;
    for (int64_t i = 0; i < task.rows.dim; ++i) {
      const double difference = static_cast<double>(task.point[i]) - row[i];
      sum += difference * difference;
    }
    task.squared[j] = static_cast<float>(sum);
  }
}

}  // namespace subgen::reference
