#include "kernels/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace subgen {
namespace {

std::function<void(const std::string&)>& Handler() {
  static std::function<void(const std::string&)> handler =
      [](const std::string& message) {
        std::fprintf(stderr, "fatal: %s\n", message.c_str());
      };
  return handler;
}

}  // namespace

void Fatal(const std::string& message) {
  Handler()(message);
  std::abort();
}

void OutOfMemory(int64_t bytes) {
  const std::string more =
      bytes < 0 ? "" : absl::StrCat(": ", bytes, " bytes more were asked for");
  Fatal(absl::StrCat("not enough memory", more,
                     "; lower the cache's budget, context_tokens, "
                     "max_sequences or prefill_chunk, use more ranks, or raise "
                     "the limit of the process (ulimit -v)"));
}

void SetFatalHandler(std::function<void(const std::string&)> handler) {
  Handler() = std::move(handler);
}

}  // namespace subgen
