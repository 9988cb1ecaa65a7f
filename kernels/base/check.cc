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

void SetFatalHandler(std::function<void(const std::string&)> handler) {
  Handler() = std::move(handler);
}

}  // namespace subgen
