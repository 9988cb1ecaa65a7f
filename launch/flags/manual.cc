#include "launch/flags/manual.h"

#include <limits>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/config/fields.h"
#include "engine/config/text.h"
#include "launch/flags/version.h"

namespace subgen {
namespace {

// Escapes the text of a man page: a backslash, a hyphen that is a minus, and a
// full stop or quote that would begin a request.
std::string Roff(absl::string_view text) {
  std::string roff = absl::StrReplaceAll(
      text, {{"\\", "\\e"}, {"-", "\\-"}, {"\n", "\n.br\n"}});
  if (absl::StartsWith(roff, ".") || absl::StartsWith(roff, "'")) {
    roff.insert(0, "\\&");
  }
  return roff;
}

std::vector<std::string> Names(const Flag& flag) {
  return absl::StrSplit(flag.names, ',');
}

bool IsFlag(const Flag& flag) { return absl::StartsWith(flag.names, "-"); }
bool HasValue(const Flag& flag) {
  return !std::holds_alternative<bool*>(flag.target);
}

std::string ValueName(const Flag& flag) {
  if (!HasValue(flag)) return "";
  if (!flag.value.empty()) return flag.value;
  return std::holds_alternative<std::string*>(flag.target) ? "TEXT" : "NUMBER";
}

// Formats "\fB\-p\fR, \fB\-\-prompt\fR \fITEXT\fR".
std::string Heading(const Flag& flag) {
  std::vector<std::string> bold;
  for (const std::string& name : Names(flag)) {
    bold.push_back(absl::StrCat("\\fB", Roff(name), "\\fR"));
  }
  const std::string value = ValueName(flag);
  return absl::StrCat(
      absl::StrJoin(bold, ", "),
      value.empty() ? "" : absl::StrCat(" \\fI", value, "\\fR"));
}

// Writes a case of the function that completes: what may follow the last word.
void AppendCase(const Flag& flag, std::string* script) {
  if (!IsFlag(flag) || !HasValue(flag)) return;
  const std::string value = ValueName(flag);
  const std::string action =
      value == "FILE"        ? "COMPREPLY=($(compgen -f -- \"$word\"))"
      : value == "FOLDER"    ? "COMPREPLY=($(compgen -d -- \"$word\"))"
      : value == "KEY=VALUE" ? "_subgen_settings"
                             : "COMPREPLY=()";
  absl::StrAppend(script, "    ", absl::StrJoin(Names(flag), " | "), ") ",
                  action, "; return ;;\n");
}

// Lists keys as "cache.policy=", and values if a key has few legal ones.
std::string SettingsFunction() {
  std::string keys, cases;
  for (const Field& field : Fields()) {
    absl::StrAppend(&keys, keys.empty() ? "" : " ", field.key, "=");
    if (field.legal.names.empty()) continue;
    absl::StrAppend(&cases, "    ", field.key, ") values='",
                    absl::StrJoin(field.legal.names, " "), "' ;;\n");
  }
  return absl::StrCat(
      "# bash gives the value as a word of its own where = breaks words.\n"
      "_subgen_settings() {\n"
      "  local all=$word key values=''\n"
      "  if [[ $word == '=' ]]; then all=$before=; "
      "elif [[ $before == '=' ]]; then all=$before2=$word; fi\n"
      "  if [[ $all != *=* ]]; then\n"
      "    compopt -o nospace\n"
      "    COMPREPLY=($(compgen -W '",
      keys,
      "' -- \"$all\"))\n"
      "    return\n"
      "  fi\n"
      "  key=${all%%=*}\n"
      "  case \"$key\" in\n",
      cases,
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$values\" -- \"${all#*=}\"))\n"
      "  if [[ $word == *=* && $word != '=' ]]; then "
      "COMPREPLY=(\"${COMPREPLY[@]/#/$key=}\"); fi\n"
      "}\n");
}

}  // namespace

std::string ManPage(const ProgramFlags& program) {
  std::string page =
      absl::StrCat(".TH ", program.name, " 1 \"\" \"SubGen ", Version(),
                   "\"\n.SH NAME\n", program.name, " \\- ",
                   Roff(program.purpose.substr(0, program.purpose.find('\n'))),
                   "\n.SH SYNOPSIS\n.B ", program.name, "\n");
  for (const Flag& flag : program.flags) {
    if (flag.required) {
      absl::StrAppend(&page, IsFlag(flag) ? Heading(flag) : ValueName(flag),
                      "\n");
    }
  }
  absl::StrAppend(&page, "[OPTION]...\n.SH DESCRIPTION\n",
                  Roff(program.purpose), "\n.SH OPTIONS\n");
  for (const Flag& flag : program.flags) {
    absl::StrAppend(&page, ".TP\n", Heading(flag), "\n", Roff(flag.help),
                    ".\n");
  }
  absl::StrAppend(&page,
                  ".TP\n\\fB\\-\\-help\\fR\nPrint the flags.\n"
                  ".TP\n\\fB\\-\\-version\\fR\nPrint version, commit, backends "
                  "and instruction sets.\n.SH \"EXIT STATUS\"\n0, or 1 after "
                  "one line on standard error that says what is wrong.\n");
  if (!program.examples.empty()) absl::StrAppend(&page, ".SH EXAMPLES\n");
  for (const std::string& example : program.examples) {
    absl::StrAppend(&page, ".PP\n.EX\n", Roff(example), "\n.EE\n");
  }
  return page;
}

std::string BashCompletion(const ProgramFlags& program) {
  std::string words = "--help --version", cases;
  bool settings = false;
  for (const Flag& flag : program.flags) {
    if (!IsFlag(flag)) continue;
    absl::StrAppend(&words, " ", absl::StrJoin(Names(flag), " "));
    AppendCase(flag, &cases);
    settings |= ValueName(flag) == "KEY=VALUE";
  }
  return absl::StrCat("# bash completion of ", program.name, "\n",
                      settings ? SettingsFunction() : "", "_", program.name,
                      "() {\n"
                      "  local word=${COMP_WORDS[COMP_CWORD]} flag\n"
                      "  local before=${COMP_WORDS[COMP_CWORD-1]} "
                      "before2=${COMP_WORDS[COMP_CWORD-2]:-}\n"
                      "  local before3=${COMP_WORDS[COMP_CWORD-3]:-}\n"
                      "  flag=$before\n"
                      "  if [[ $word == '=' ]]; then flag=$before2; fi\n"
                      "  if [[ $before == '=' ]]; then flag=$before3; fi\n"
                      "  case \"$flag\" in\n",
                      cases,
                      "  esac\n"
                      "  if [[ $word == -* ]]; then\n"
                      "    COMPREPLY=($(compgen -W '",
                      words,
                      "' -- \"$word\"))\n"
                      "  else\n"
                      "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
                      "  fi\n"
                      "}\n"
                      "complete -o filenames -F _",
                      program.name, " ", program.name, "\n");
}

std::string NearestFlag(const ProgramFlags& program, absl::string_view word) {
  constexpr size_t kMost = 100;  // the distance is quadratic
  word = word.substr(0, kMost);
  std::string nearest;
  size_t best = std::numeric_limits<size_t>::max();
  std::vector<std::string> all = {"--help", "--version"};
  for (const Flag& flag : program.flags) {
    if (!IsFlag(flag)) continue;
    for (const std::string& name : Names(flag)) all.push_back(name);
  }
  for (const std::string& name : all) {
    // "-p" and "--pro" begin as --prompt does.
    const absl::string_view begun = absl::StripPrefix(word, "-");
    const bool begins =
        !absl::StripPrefix(begun, "-").empty() &&
        absl::StartsWith(name,
                         absl::StrCat("--", absl::StripPrefix(begun, "-")));
    const size_t distance = begins ? 1 : EditDistance(word, name);
    if (distance < best) {
      best = distance;
      nearest = name;
    }
  }
  return nearest;
}

}  // namespace subgen
