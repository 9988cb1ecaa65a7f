// libFuzzer harness of the model reader, not part of the build:
// tests/fuzz/run.sh compiles and runs it.
#include <sys/mman.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "engine/model/model_config.h"
#include "kernels/base/check.h"

namespace {

void ReadWhole(const subgen::GgufFile& file) {
  for (const subgen::GgufTensor& tensor : file.tensors()) {
    const int64_t count = tensor.data.size() /
                          subgen::BlockBytes(tensor.format) *
                          subgen::BlockSize(tensor.format);
    std::vector<float> values(count);
    subgen::Dequantize(tensor.format, tensor.data.data(), values);
  }
  (void)subgen::ReadModelConfig(file, subgen::RopeConfig{}).ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int memory = memfd_create("gguf", MFD_CLOEXEC);
  SUBGEN_CHECK(write(memory, data, size) == static_cast<ssize_t>(size));
  const auto file =
      subgen::GgufFile::Open(absl::StrCat("/proc/self/fd/", memory));
  if (file.ok()) ReadWhole(**file);
  close(memory);
  return 0;
}
