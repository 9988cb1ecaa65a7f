#include "kernels/base/quoted.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace subgen {

std::string Quoted(absl::string_view text) {
  constexpr size_t kMost = 80;
  const bool cut = text.size() > kMost;
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, kMost)),
                      cut ? "...'" : "'");
}

}  // namespace subgen
