// What the sketches of all layers leave to the backend in a step, as one
// operation: heads are not alike, and many of them even out over threads.
#pragma once

#include <vector>

#include "kernels/backend.h"

namespace subgen {

class CenterQueue {
 public:
  explicit CenterQueue(Backend& backend) : backend_(backend) {}

  // What the tasks view stays as it is until Run; so at most one task of the
  // same centres until then.
  void Add(const std::vector<CenterTask>& tasks) {
    // Distances of that many pairs are held at once by a backend that computes
    // all of them first.
    constexpr int64_t kMostPairs = 1 << 22;
    for (const CenterTask& task : tasks) {
      tasks_.push_back(task);
      pairs_ += task.exchanges() ? task.tokens() * task.centers.limit : 0;
      if (pairs_ > kMostPairs) Run();
    }
  }
  void Run() {
    if (!tasks_.empty()) backend_.InsertCenters(tasks_);
    tasks_.clear();
    pairs_ = 0;
  }

 private:
  Backend& backend_;
  std::vector<CenterTask> tasks_;
  int64_t pairs_ = 0;
};

}  // namespace subgen
