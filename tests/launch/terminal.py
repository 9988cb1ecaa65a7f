"""Programs whose output is a terminal."""
import fcntl
import os
import pty
import struct
import subprocess
import termios


def on_terminal(command, stream, columns=80, **options):
    """Runs the command with "stdout" or "stderr" a terminal of so many columns
    and the other of them nowhere. Returns its exit code and what it showed."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ,
                struct.pack("HHHH", 24, columns, 0, 0))
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
               stream: follower}
    with subprocess.Popen(command, **streams, **options) as process:
        os.close(follower)
        shown = b""
        try:
            while True:
                shown += os.read(leader, 4096)
        except OSError:  # the program has ended
            pass
    os.close(leader)
    return process.returncode, shown.decode()
