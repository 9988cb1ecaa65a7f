#include "engine/cache/step_work.h"

#include <utility>

namespace subgen {
namespace {

// This takes down what is asked for, and does it at the end.
class Gathered final : public RowOps {
 public:
  void ConvertRows(Vector<const RowCopy> copies) override {
    Append(copies, &copies_);
  }
  void Distances(Vector<const DistanceTask> tasks) override {
    Append(tasks, &distances_);
  }
  void KeepBest(Vector<const KeepBestTask> tasks) override {
    Append(tasks, &keep_best_);
  }
  void InsertCenters(Vector<const CenterTask> tasks) override {
    Append(tasks, &centers_);
  }
  void InsertClusters(Vector<const ClusterTask> tasks) override {
    Append(tasks, &clusters_);
  }
  void After(std::function<void()> then) override {
    after_.push_back(std::move(then));
  }

  void Run(Backend& backend) {
    if (!copies_.empty()) backend.ConvertRows(copies_);
    if (!distances_.empty()) backend.Distances(distances_);
    RunCenters(backend);
    if (!clusters_.empty()) backend.InsertClusters(clusters_);
    if (!keep_best_.empty()) backend.KeepBest(keep_best_);
    for (const auto& then : after_) then();
  }

 private:
  template <class Task>
  static void Append(Vector<const Task> tasks, std::vector<Task>* all) {
    all->insert(all->end(), tasks.begin(), tasks.end());
  }

  void RunCenters(Backend& backend) {
    // A backend may hold the distances of all tokens from all centers at once,
    // so one operation is given at most so many pairs.
    constexpr int64_t kMostPairs = 1 << 22;
    const Vector<const CenterTask> all = centers_;
    size_t first = 0;
    int64_t pairs = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      pairs += all[i].tokens() * all[i].centers.limit;
      if (pairs < kMostPairs && i + 1 < all.size()) continue;
      backend.InsertCenters(all.subspan(first, i + 1 - first));
      first = i + 1;
      pairs = 0;
    }
  }

  std::vector<RowCopy> copies_;
  std::vector<DistanceTask> distances_;
  std::vector<CenterTask> centers_;
  std::vector<ClusterTask> clusters_;
  std::vector<KeepBestTask> keep_best_;
  std::vector<std::function<void()>> after_;
};

}  // namespace

void StepWork::Add(const Sketch* sketch, Call call) {
  // The n-th call of a sketch goes to the n-th round, as it may read what the
  // call before it asked for.
  const size_t round = next_round_[sketch]++;
  if (rounds_.size() <= round) rounds_.resize(round + 1);
  rounds_[round].push_back(std::move(call));
}

void StepWork::Run() {
  next_round_.clear();
  // A round is run before the next one is asked, so each call sees what its
  // sketch asked for before, done.
  for (const std::vector<Call>& round : std::exchange(rounds_, {})) {
    Gathered gathered;
    for (const Call& call : round) call(gathered);
    gathered.Run(backend_);
  }
}

void StepWork::RunNow(const Call& call) {
  Gathered gathered;
  call(gathered);
  gathered.Run(backend_);
}

bool StepWork::GainsByWaiting(int64_t tokens, int64_t sequences) const {
  constexpr int64_t kFewTokens = 8;
  // A device has no caches that lose the rows meanwhile, and wants few
  // operations.
  return tokens > kFewTokens * sequences || backend_.mirror() != nullptr;
}

}  // namespace subgen
