"""A terminal with a shell command in it: what it shows, and Ctrl-C."""

import os
import pty
import re
import signal
import threading
import time

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A pseudo-terminal, so that programs behave as they do for a user."""

    def __init__(self, command: str, directory: str):
        self._shown, self._read_to, self._closed = "", 0, threading.Event()
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(directory)
            os.execvp("bash", ["bash", "-e", "-o", "pipefail", "-c", command])
        threading.Thread(target=self._read, daemon=True).start()

    def expect_line(self, line: str, timeout_s: float) -> None:
        """Waits for a line that begins like this, after those expected before."""
        wanted = re.compile(rf"^{re.escape(line)}", re.MULTILINE)
        deadline = time.monotonic() + timeout_s
        while not (match := wanted.search(self._shown, self._read_to)):
            assert time.monotonic() < deadline, f"{line!r} was not shown, but:\n{self._shown}"
            time.sleep(0.02)
        self._read_to = match.end()

    def press_ctrl_c(self, timeout_s: float) -> None:
        """Presses Ctrl-C and waits for the end."""
        os.write(self._fd, b"\x03")
        self.wait(timeout_s)

    def wait(self, timeout_s: float) -> tuple[int, str]:
        """Waits for the end; gives the exit code and all that was shown."""
        deadline = time.monotonic() + timeout_s
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                break
            assert time.monotonic() < deadline, f"still running, and shows:\n{self._shown}"
            time.sleep(0.02)
        self._pid = 0
        self._closed.wait(1)
        return os.waitstatus_to_exitcode(status), self._shown

    def close(self) -> None:
        """Ends what still runs there."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _read(self) -> None:
        raw = b""
        while True:
            try:
                chunk = os.read(self._fd, 65536)
            except OSError:  # the terminal's last program has ended
                break
            if not chunk:
                break
            raw += chunk
            self._shown = _ESCAPES.sub("", raw.decode(errors="replace")).replace("\r\n", "\n")
        os.close(self._fd)
        self._closed.set()
