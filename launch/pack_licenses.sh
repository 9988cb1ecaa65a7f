#!/bin/bash
# Copies the licenses of packed files, for package.sh: of the Debian packages
# that own the files, of those whose headers are compiled into the programs, and
# the texts that these licenses name.
#
# Usage: launch/pack_licenses.sh FOLDER < LIST
#   FOLDER   is made: FOLDER/<package>, FOLDER/common-licenses/<license>
#   LIST     absolute paths of files, one a line
#
# A file that no package owns is named on standard error.
#
# Example: realpath /lib/*/libz.so.1 | launch/pack_licenses.sh licenses
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=launch/checkout.sh
source "$root/launch/checkout.sh"
help_if_asked "$@"
if (($# != 1)) || [[ $1 == -* ]]; then
  refuse "${1:-no argument}" "one folder to write, --help"
fi
folder=$1
mkdir -p "$folder"

if ! command -v dpkg-query > /dev/null; then
  die "not a Debian system: licences of packed libraries are not known"
fi

# Names of packages that own the files of standard input. dpkg knows a file of
# /usr/lib by that name or, as it was before the folders were merged, without
# /usr.
owners() {
  local files
  files=$(sort -u)
  { xargs -r -d '\n' dpkg-query -S 2> /dev/null || true; } \
    < <(sed 'p; s,^/usr,,' <<< "$files") |
    awk -F ': ' -v files="$files" -v name="$script_name" '
      /^diversion / { next }
      { found[$2] = 1; sub(/[:,].*/, "", $1); print $1 }
      END {
        count = split(files, all, "\n")
        for (i = 1; i <= count; i++) {
          short = all[i]
          sub(/^\/usr/, "", short)
          if (!(all[i] in found) && !(short in found)) {
            print name ": no Debian package owns " all[i] > "/dev/stderr"
          }
        }
      }'
}

# Templates and inline functions of headers are part of the programs.
header_packages() {
  "$root/launch/install_packages.sh" --list | grep -- '-dev$'
}

{
  owners
  header_packages
} | sort -u | while IFS= read -r package; do
  copyright=/usr/share/doc/$package/copyright
  if [[ -f $copyright ]]; then
    cp -L "$copyright" "$folder/$package"
  else
    echo "$script_name: $copyright: no such file" >&2
  fi
done

mkdir -p "$folder/common-licenses"
{ grep -rhoE '/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9]' "$folder" || true; } |
  sort -u | while IFS= read -r text; do
  if [[ -f $text ]]; then cp -L "$text" "$folder/common-licenses"; fi
done
