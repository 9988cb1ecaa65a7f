// The command line of a program is a table of flags. The table gives what is
// parsed, --help, the man page and the completion of bash.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace subgen {

struct Flag {
  using Target = std::variant<bool*, int*, int64_t*, double*, std::string*,
                              std::vector<std::string>*>;
  std::string names;       // "-p,--prompt"; without dashes: by its place
  Target target;           // holds the default; a vector takes several values
  std::string help;        // no full stop
  std::string value = {};  // what stands for the value in texts, as FILE
  double low = 0.0;        // of numbers; all are legal where low == high
  double high = 0.0;
  bool required = false;
};

struct ProgramFlags {
  std::string name;     // subgen_generate
  std::string purpose;  // a sentence
  std::vector<Flag> flags;
  std::vector<std::string> examples = {};  // command lines, for the man page
};

// Fills the targets. If something is to be printed instead of run (for --help,
// --version, --man or --completion), it comes back as text; else the text is
// empty. An error is one line with the word that is wrong and what is legal or
// near.
absl::StatusOr<std::string> ParseFlags(const ProgramFlags& program, int argc,
                                       const char* const* argv);

// Returns the flags of every program that takes settings: --config, --set,
// --model. The targets are ConfigSources' and a path.
struct ConfigSources;
std::vector<Flag> SettingFlags(ConfigSources* sources, std::string* model);

// Puts the model, if one is given, among the settings, and adds the process's
// environment, so that LoadConfig can follow.
void AddModelAndEnvironment(const std::string& model, ConfigSources* sources);

}  // namespace subgen
