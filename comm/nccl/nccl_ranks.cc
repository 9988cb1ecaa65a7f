#include "comm/nccl/nccl_ranks.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "comm/agreement.h"
#include "comm/nccl/nccl_group.h"
#include "comm/nccl/nccl_library.h"
#include "kernels/backend.h"
#include "kernels/base/status_macros.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/runtime/device.h"

namespace subgen {
namespace {

// Ranks tell one another this before NCCL begins.
struct RankPlace {
  char host[64] = "";
  char device_uuid[16] = {};
  int device = 0;
  int nccl_version = 0;

  bool SameDevice(const RankPlace& other) const {
    return std::strcmp(host, other.host) == 0 &&
           std::memcmp(device_uuid, other.device_uuid, 16) == 0;
  }
};

std::string VersionName(int version) {
  return absl::StrCat(version / 10000, ".", version / 100 % 100, ".",
                      version % 100);
}

// Every rank sees the same places, so all give the same answer.
absl::Status CheckPlaces(const std::vector<RankPlace>& places,
                         bool share_device) {
  for (size_t rank = 1; rank < places.size(); ++rank) {
    const RankPlace& place = places[rank];
    if (place.nccl_version != places[0].nccl_version) {
      return absl::FailedPreconditionError(absl::StrCat(
          "comm 'nccl': rank 0 on ", places[0].host, " has NCCL ",
          VersionName(places[0].nccl_version), ", rank ", rank, " on ",
          place.host, " has ", VersionName(place.nccl_version)));
    }
    for (size_t other = 0; !share_device && other < rank; ++other) {
      if (!place.SameDevice(places[other])) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          "comm 'nccl': ranks ", other, " and ", rank, " on ", place.host,
          " have the same device ", place.device,
          ": start no more ranks on a host than it has devices, or set "
          "ranks.device = shared for a test"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RankPlace> FindPlace(const NcclLibrary& nccl, int device) {
  auto processors = cuda::OpenDevice(device);
  if (!processors.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("comm 'nccl': ", processors.status().message()));
  }
  RankPlace place;
  gethostname(place.host, sizeof(place.host) - 1);
  place.device = device;
  cudaDeviceProp properties;
  cuda::CheckCuda(cudaGetDeviceProperties(&properties, device), "device");
  std::memcpy(place.device_uuid, properties.uuid.bytes, 16);
  nccl.GetVersion(&place.nccl_version);
  return place;
}

class NcclRanks final : public Communicator {
 public:
  NcclRanks(std::unique_ptr<Communicator> bootstrap,
            std::unique_ptr<NcclGroup> group, const NcclLibrary& nccl,
            const NcclOptions& options)
      : bootstrap_(std::move(bootstrap)),
        group_(std::move(group)),
        nccl_(nccl),
        options_(options) {}

  int rank() const override { return bootstrap_->rank(); }
  int size() const override { return bootstrap_->size(); }

  std::unique_ptr<Communicator> Split(int color) override {
    auto made = Make(bootstrap_->Split(color), nccl_, options_);
    if (!made.ok()) Fatal(std::string(made.status().message()));
    return *std::move(made);
  }

  // Makes the group of this rank. Collective over `bootstrap`.
  static absl::StatusOr<std::unique_ptr<Communicator>> Make(
      std::unique_ptr<Communicator> bootstrap, const NcclLibrary& nccl,
      const NcclOptions& options) {
    std::unique_ptr<NcclGroup> group;
    if (bootstrap->size() > 1) {
      ncclUniqueId id = {};
      absl::Status status;
      if (bootstrap->rank() == 0 && nccl.GetUniqueId(&id) != ncclSuccess) {
        status = absl::UnavailableError(
            "comm 'nccl': NCCL gives no unique id; NCCL_DEBUG=WARN says why");
      }
      RETURN_IF_ERROR(AgreeOnStatus(*bootstrap, status));
      bootstrap->Broadcast({reinterpret_cast<std::byte*>(&id), sizeof(id)}, 0);
      ASSIGN_OR_RETURN(group, NcclGroup::Make(nccl, options, id, *bootstrap));
    }
    return std::make_unique<NcclRanks>(std::move(bootstrap), std::move(group),
                                       nccl, options);
  }

 protected:
  void DoAllReduce(Vector<float> data, ReduceOp op) override {
    for (size_t first = 0; first < data.size(); first += kNcclPiece) {
      group_->AllReduce(
          data.subspan(first,
                       std::min<size_t>(kNcclPiece, data.size() - first)),
          op);
    }
  }

  // All ranks hand in as many numbers as the largest does, a piece at a time.
  void DoAllGather(Vector<const float> mine, Vector<const int> counts,
                   Vector<float> all) override {
    const int64_t largest = *std::max_element(counts.begin(), counts.end());
    const int64_t most = kNcclPiece / size();
    for (int64_t first = 0; first < largest; first += most) {
      const int64_t each = std::min(most, largest - first);
      padded_.assign(each, 0.0f);
      gathered_.resize(each * size());
      const auto left = [&](int64_t count) {
        return std::clamp<int64_t>(count - first, 0, each);
      };
      std::copy_n(mine.begin() + std::min<int64_t>(first, mine.size()),
                  left(mine.size()), padded_.begin());
      group_->AllGather(padded_, gathered_);
      int64_t to = 0;
      for (int rank = 0; rank < size(); ++rank) {
        std::copy_n(gathered_.begin() + rank * each, left(counts[rank]),
                    all.begin() + to + std::min<int64_t>(first, counts[rank]));
        to += counts[rank];
      }
    }
  }

  void DoBroadcast(Vector<std::byte> data, int root) override {
    bootstrap_->Broadcast(data, root);
  }

  bool QueueAllReduce(Backend& backend, Vector<float> data,
                      ReduceOp op) override {
    cuda::Staging* const staging = StagingOf(backend);
    if (staging == nullptr) return false;
    group_->AllReduce(staging, data, op);
    return true;
  }

  bool QueueAllGather(Backend& backend, Vector<const float> mine,
                      Vector<const int> counts, Vector<float> all) override {
    cuda::Staging* const staging = StagingOf(backend);
    if (staging == nullptr) return false;
    group_->AllGather(staging, mine, counts, all);
    return true;
  }

 private:
  // Null where the backends of all ranks are on the host; otherwise each is on
  // its rank's device.
  cuda::Staging* StagingOf(Backend& backend) const {
    cuda::Staging* const staging = cuda::StagingOf(backend);
    SUBGEN_CHECK(staging == nullptr ||
                 staging->queue()->device() == options_.device);
    return staging;
  }

  std::unique_ptr<Communicator> bootstrap_;
  std::unique_ptr<NcclGroup> group_;  // null with one rank
  const NcclLibrary nccl_;
  const NcclOptions options_;
  std::vector<float> padded_, gathered_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> MakeNcclRanks(
    std::unique_ptr<Communicator> bootstrap, const NcclOptions& options) {
  absl::StatusOr<RankPlace> place = absl::UnknownError("");
  const absl::StatusOr<NcclLibrary> nccl = OpenNccl(options.library);
  if (nccl.ok()) {
    place = FindPlace(*nccl, options.device);
  } else {
    place = nccl.status();
  }
  RETURN_IF_ERROR(AgreeOnStatus(*bootstrap, place.status()));
  RETURN_IF_ERROR(
      CheckPlaces(GatherFromRanks(*bootstrap, *place), options.share_device));
  return NcclRanks::Make(std::move(bootstrap), *nccl, options);
}

}  // namespace subgen
