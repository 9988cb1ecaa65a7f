#include "comm/agreement.h"

namespace subgen {

absl::Status AgreeOnStatus(Communicator& ranks, const absl::Status& mine) {
  const std::vector<int> codes =
      GatherFromRanks(ranks, static_cast<int>(mine.code()));
  for (int rank = 0; rank < ranks.size(); ++rank) {
    if (codes[rank] == 0) continue;
    const std::string message =
        BroadcastString(ranks, std::string(mine.message()), rank);
    return absl::Status(static_cast<absl::StatusCode>(codes[rank]), message);
  }
  return absl::OkStatus();
}

}  // namespace subgen
