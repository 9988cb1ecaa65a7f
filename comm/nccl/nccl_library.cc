#include "comm/nccl/nccl_library.h"

#include <dlfcn.h>

#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

template <class Function>
absl::Status Find(void* library, const char* name, const std::string& path,
                  Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (*function != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("comm 'nccl': ", path, " has no ", name,
                   "; needed is NCCL 2.14 or newer"));
}

// Ranks decide by themselves when they capture a step, but NCCL would make them
// agree with their peers on the buffers of a capture.
void KeepBuffersOfGraphsPrivate() {
  static const int ignored = setenv("NCCL_GRAPH_REGISTER", "0", 0);
  (void)ignored;
}

}  // namespace

absl::StatusOr<NcclLibrary> OpenNccl(const std::string& path) {
  KeepBuffersOfGraphsPrivate();
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("comm 'nccl': NCCL is not found: ", dlerror(),
                     "; install it or add its folder to LD_LIBRARY_PATH"));
  }
  NcclLibrary nccl;
  const auto find = [&](const char* name, auto* function) {
    return Find(library, name, path, function);
  };
  RETURN_IF_ERROR(find("ncclGetVersion", &nccl.GetVersion));
  RETURN_IF_ERROR(find("ncclGetUniqueId", &nccl.GetUniqueId));
  RETURN_IF_ERROR(find("ncclCommInitRankConfig", &nccl.CommInitRankConfig));
  RETURN_IF_ERROR(find("ncclCommGetAsyncError", &nccl.CommGetAsyncError));
  RETURN_IF_ERROR(find("ncclCommAbort", &nccl.CommAbort));
  RETURN_IF_ERROR(find("ncclCommFinalize", &nccl.CommFinalize));
  RETURN_IF_ERROR(find("ncclCommDestroy", &nccl.CommDestroy));
  RETURN_IF_ERROR(find("ncclGetErrorString", &nccl.GetErrorString));
  RETURN_IF_ERROR(find("ncclGetLastError", &nccl.GetLastError));
  RETURN_IF_ERROR(find("ncclAllReduce", &nccl.AllReduce));
  RETURN_IF_ERROR(find("ncclAllGather", &nccl.AllGather));
  return nccl;
}

}  // namespace subgen
