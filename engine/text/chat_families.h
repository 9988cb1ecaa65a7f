// These are the published formats of the families that the engine knows. This
// is an inner header of engine/text.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/text/chat_template.h"

namespace subgen {

// Returns chatml, llama2, llama3, mistral or vicuna; nothing where the text is
// of none.
std::string RecognizeFamily(absl::string_view jinja);

// Returns the format of a family. Its versions differ in blanks and default
// system messages; those of `jinja` are taken where it is of the same family,
// else the first version's.
absl::StatusOr<ChatFormat> FamilyFormat(absl::string_view name,
                                        absl::string_view jinja);

}  // namespace subgen
