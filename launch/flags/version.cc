#include "launch/flags/version.h"

#include "absl/strings/str_join.h"
#include "kernels/cpu/tiles/instruction_sets.h"

namespace subgen {

// launch/version.cmake writes the file that defines these.
extern const char kVersion[];
extern const char kCommit[];
extern const bool kHasCuda;

std::string Version() { return absl::StrCat(kVersion, " (", kCommit, ")"); }

std::string VersionText(const std::string& program) {
  return absl::StrCat(program, " ", Version(), "\nbackends ",
                      kHasCuda ? "cpu, cuda, reference" : "cpu, reference",
                      "\ninstruction sets ",
                      absl::StrJoin(cpu::InstructionSetsOfMachine(), ", "),
                      "\n");
}

}  // namespace subgen
