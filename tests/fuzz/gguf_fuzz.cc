// This is a libFuzzer harness of the model reader, not part of the build:
// tests/fuzz/run.sh compiles and runs it.
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/model/gguf/gguf_model.h"
#include "kernels/base/check.h"

namespace {

void ReadWhole(std::unique_ptr<subgen::GgufFile> file) {
  for (const subgen::ModelTensor& tensor : file->tensors()) {
    const int64_t count = tensor.data.size() /
                          subgen::BlockBytes(tensor.format) *
                          subgen::BlockSize(tensor.format);
    std::vector<float> values(count);
    subgen::Dequantize(tensor.format, tensor.data.data(), values);
  }
  (void)subgen::MakeGgufModel(std::move(file), subgen::RopeConfig{}).ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int memory = memfd_create("gguf", MFD_CLOEXEC);
  SUBGEN_CHECK(write(memory, data, size) == static_cast<ssize_t>(size));
  auto file = subgen::GgufFile::Open(absl::StrCat("/proc/self/fd/", memory));
  if (file.ok()) ReadWhole(*std::move(file));
  close(memory);
  return 0;
}
