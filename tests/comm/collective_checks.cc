#include "tests/comm/collective_checks.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr int kSizes[] = {0, 1, 4, 100, 1000, 10000};

absl::Status Differs(absl::string_view what, int64_t i, double got,
                     double want) {
  return absl::InternalError(
      absl::StrCat(what, "[", i, "] = ", got, ", not ", want));
}

absl::Status CheckAllReduce(Communicator& ranks, int size) {
  const int n = ranks.size();
  const int r = ranks.rank();
  std::vector<float> sum(size), max(size);
  for (int i = 0; i < size; ++i) {
    sum[i] = (r + 1) * (i % 100);  // sums to n (n + 1) / 2 * (i % 100)
    max[i] = (r + i) % n - 1000;   // every residue once: n - 1 - 1000
  }
  ranks.AllReduce(sum, ReduceOp::kSum);
  ranks.AllReduce(max, ReduceOp::kMax);
  for (int i = 0; i < size; ++i) {
    const float total = n * (n + 1) / 2 * (i % 100);
    if (sum[i] != total) return Differs("sum", i, sum[i], total);
    if (max[i] != n - 1001) return Differs("max", i, max[i], n - 1001);
  }
  return absl::OkStatus();
}

// Rank r hands in size + r numbers, or none where r % 3 == 1.
absl::Status CheckAllGather(Communicator& ranks, int size) {
  std::vector<int> counts;
  std::vector<float> want;
  for (int r = 0; r < ranks.size(); ++r) {
    counts.push_back(r % 3 == 1 ? 0 : size + r);
    for (int i = 0; i < counts[r]; ++i) want.push_back(100000 * r + i);
  }
  std::vector<float> mine(counts[ranks.rank()]);
  for (size_t i = 0; i < mine.size(); ++i) mine[i] = 100000 * ranks.rank() + i;
  std::vector<float> all(want.size(), -1.0f);
  ranks.AllGather(mine, counts, all);
  for (size_t i = 0; i < want.size(); ++i) {
    if (all[i] != want[i]) return Differs("gathered", i, all[i], want[i]);
  }
  return absl::OkStatus();
}

absl::Status CheckBroadcast(Communicator& ranks, int size) {
  for (int root = 0; root < ranks.size(); ++root) {
    const auto byte = [&](int of, int i) { return std::byte((i + 7 * of)); };
    std::vector<std::byte> data(size);
    for (int i = 0; i < size; ++i) data[i] = byte(ranks.rank(), i);
    ranks.Broadcast(data, root);
    for (int i = 0; i < size; ++i) {
      if (data[i] != byte(root, i)) {
        return Differs("byte", i, static_cast<int>(data[i]),
                       static_cast<int>(byte(root, i)));
      }
    }
    const std::string want = std::string(size, 'a' + root) + "end";
    const std::string mine = ranks.rank() == root ? want : "mine";
    if (BroadcastString(ranks, mine, root) != want) {
      return absl::InternalError(absl::StrCat("string of ", size));
    }
  }
  return absl::OkStatus();
}

// Splits by `color_of`, which says the color of any rank; checks the place of
// this rank in its group, and the group.
template <class ColorOf>
absl::Status CheckSplit(Communicator& ranks, const ColorOf& color_of) {
  const int mine = color_of(ranks.rank());
  int rank = 0;
  int size = 0;
  for (int r = 0; r < ranks.size(); ++r) {
    if (color_of(r) != mine) continue;
    rank += r < ranks.rank();
    ++size;
  }
  const std::unique_ptr<Communicator> part = ranks.Split(mine);
  if (part->rank() != rank || part->size() != size) {
    return absl::InternalError(absl::StrCat("rank ", part->rank(), " of ",
                                            part->size(), ", not ", rank,
                                            " of ", size));
  }
  RETURN_IF_ERROR(CheckCollectives(*part));
  // This is a split of the split: its first half and the rest.
  const std::unique_ptr<Communicator> half = part->Split(2 * rank >= size);
  const int first = (size + 1) / 2;
  if (half->size() != (2 * rank < size ? first : size - first)) {
    return absl::InternalError(absl::StrCat("half of ", half->size()));
  }
  return CheckCollectives(*half);
}

}  // namespace

absl::Status CheckCollectives(Communicator& ranks) {
  for (const int size : kSizes) {
    RETURN_IF_ERROR(CheckAllReduce(ranks, size));
    RETURN_IF_ERROR(CheckAllGather(ranks, size));
    RETURN_IF_ERROR(CheckBroadcast(ranks, size));
  }
  return absl::OkStatus();
}

absl::Status CheckSplits(Communicator& ranks) {
  RETURN_IF_ERROR(CheckSplit(ranks, [](int) { return 3; }));
  RETURN_IF_ERROR(CheckSplit(ranks, [](int r) { return 10 - r; }));
  RETURN_IF_ERROR(CheckSplit(ranks, [](int r) { return r % 2; }));
  RETURN_IF_ERROR(CheckSplit(ranks, [](int r) { return r / 2; }));
  return CheckCollectives(ranks);  // the parent still works
}

}  // namespace subgen
