"""A copy of the project's scripts among commands that only take notes."""
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TIME_LIMIT = 60

# These are all that scripts may find on PATH, besides what a test puts there.
TOOLS = """awk basename bash cat chmod cp cut date dirname env find flock grep
head id ls mkdir mktemp mv nproc paste printf pwd readlink realpath rm sed seq
sh sha256sum sleep sort tail tee touch tr uname uniq wc xargs""".split()

# Notes the command and its arguments, one a line.
NOTE = 'echo "$(basename "$0") $*" >> "$NOTES"\n'

# Configures and builds: programs that print their arguments.
CMAKE = NOTE + r"""
case "$1" in
  --preset) mkdir -p "$PWD/build"
    echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" > "$PWD/build/CMakeCache.txt" ;;
  --build) echo "begin $(date +%s%N)" >> "$NOTES"
    sleep "${BUILD_SECONDS:-0}"
    printf '#!/bin/sh\nprintf "%%s\\n" "$@"\n' > "$2/subgen_generate"
    chmod +x "$2/subgen_generate"
    echo "end $(date +%s%N)" >> "$NOTES" ;;
esac
"""
MPIRUN = NOTE + 'while [ "$1" != none ]; do shift; done; shift; exec "$@"\n'


class Checkout:
    """Has `folder`, the copy, and `notes`, a line a command that was called."""

    def __init__(self):
        self._place = tempfile.TemporaryDirectory()
        place = self._place.name
        os.chmod(place, 0o755)
        self.folder = os.path.join(place, "checkout")
        self.tools = os.path.join(place, "tools")
        self._notes = os.path.join(place, "notes")
        self.home = os.path.join(place, "home")
        for folder in (self.folder, self.tools, self.home):
            os.mkdir(folder)
        for folder in ("launch", "configs", "tests/fuzz", "tests/support",
                       ".ci"):
            shutil.copytree(os.path.join(ROOT, folder),
                            os.path.join(self.folder, folder))
        shutil.copy(os.path.join(ROOT, "tests", "fresh_machine.sh"),
                    os.path.join(self.folder, "tests"))
        for name in TOOLS:
            path = shutil.which(name)
            if path:
                os.symlink(path, os.path.join(self.tools, name))
        self.command("python3", 'exec %s "$@"\n' % sys.executable)
        self.command("dpkg-query", "echo installed\n")
        self.command("cmake", CMAKE)
        self.command("mpirun", MPIRUN)
        for name in ("apt-get", "ninja", "srun", "debootstrap", "chroot",
                     "nvidia-smi", "patchelf", "clang++"):
            self.command(name, NOTE + "exit 1\n")

    def close(self):
        self._place.cleanup()

    def command(self, name, body):
        """Puts a script of sh on PATH."""
        self.write(os.path.join(self.tools, name), "#!/bin/sh\n" + body)

    def replace(self, script, body):
        self.write(os.path.join(self.folder, script), "#!/bin/bash\n" + body)

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def path(self, script):
        return os.path.join(self.folder, script)

    @property
    def notes(self):
        if not os.path.exists(self._notes):
            return []
        with open(self._notes) as file:
            return file.read().splitlines()

    def environment(self, **more):
        return dict({"PATH": self.tools, "HOME": self.home,
                     "NOTES": self._notes, "LC_ALL": "C"}, **more)

    def start(self, script, *arguments, **more):
        return subprocess.Popen(
            [self.path(script), *arguments], env=self.environment(**more),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)

    def run(self, script, *arguments, **more):
        return subprocess.run(
            [self.path(script), *arguments], env=self.environment(**more),
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TIME_LIMIT)

    def run_as_nobody(self, script, *arguments):
        """By a user who is not root and may not write in the copy."""
        command = [self.path(script), *arguments]
        environment = self.environment()
        open(self._notes, "a").close()
        os.chmod(self._notes, 0o666)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            return subprocess.run(
                command, env=environment, capture_output=True, text=True,
                timeout=TIME_LIMIT, user=nobody.pw_uid, group=nobody.pw_gid,
                extra_groups=[])
        os.chmod(self.folder, 0o555)
        try:
            return subprocess.run(command, env=environment, text=True,
                                  capture_output=True, timeout=TIME_LIMIT)
        finally:
            os.chmod(self.folder, 0o755)


class ScriptsTest(unittest.TestCase):
    """Has a copy of the checkout of its own."""

    def setUp(self):
        self.checkout = Checkout()
        self.addCleanup(self.checkout.close)

    def run_right(self, script, *arguments, **more):
        result = self.checkout.run(script, *arguments, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def assert_one_line(self, result, *words):
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
