"""What Debian's package manager knows of the packages on this machine."""
import glob
import os
import re
import subprocess

INFO = "/var/lib/dpkg/info"


def is_debian():
    return os.path.isdir(INFO)


class Packages:
    def __init__(self):
        self._owners = {}
        for path in glob.glob(os.path.join(INFO, "*.list")):
            package = os.path.basename(path)[:-len(".list")].split(":")[0]
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    self._owners.setdefault(line.rstrip("\n"),
                                            set()).add(package)
        self._dependencies, self._providers = _read_dependencies()

    def owners(self, path):
        """Packages that brought a file, or what a link that nobody brought
        leads to; by its name or by the one that it had before /lib and
        /usr/lib were merged."""
        for name in (os.path.normpath(path), os.path.realpath(path)):
            short = name[len("/usr"):] if name.startswith("/usr/") else name
            found = self._owners.get(name, set()) | self._owners.get(short,
                                                                     set())
            if found:
                return found
        return set()

    def with_dependencies(self, names):
        """The packages named and all that they need, of each choice the first
        that is installed."""
        found, left = set(), list(names)
        while left:
            name = left.pop()
            if name in found:
                continue
            found.add(name)
            for choice in self._dependencies.get(name, []):
                for alternative in choice:
                    if alternative in self._dependencies:
                        left.append(alternative)
                        break
                    if alternative in self._providers:
                        left.extend(self._providers[alternative])
                        break
        return found


def _names(field):
    """A dependency field: a list of choices, each a list of names."""
    choices = [choice.split("|") for choice in field.split(",")]
    return [[re.split(r"[\s(:]", name.strip())[0] for name in choice]
            for choice in choices if choice != [""]]


def _read_dependencies():
    lines = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\t"
         "${Pre-Depends}\t${Depends}\t${Provides}\n"],
        capture_output=True, text=True, check=True).stdout.splitlines()
    dependencies, providers = {}, {}
    for line in lines:
        package, status, before, depends, provides = line.split("\t")
        if status != "installed":
            continue
        dependencies.setdefault(package, []).extend(
            _names(before) + _names(depends))
        for choice in _names(provides):
            providers.setdefault(choice[0], set()).add(package)
    return dependencies, providers
