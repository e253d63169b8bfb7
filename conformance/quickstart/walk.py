"""Walks through docs/quickstart.md: `python -m quickstart.walk PAGE DIRECTORY`, with `busbar` on the PATH.

Run it in a network namespace of its own (`unshare --map-root-user --net`): the page uses the default ports.
"""

import fcntl
import socket
import struct
import sys
from pathlib import Path

from quickstart.page import Step, steps
from quickstart.terminal import Terminal

TIMEOUT_S = 15
_SIOCSIFFLAGS, _UP_LOOPBACK_RUNNING = 0x8914, 0x49


def bring_loopback_up() -> None:
    """A new network namespace has its loopback interface down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP_LOOPBACK_RUNNING))


class Walk:
    """The terminals that are open, and what the last command printed."""

    def __init__(self, directory: str):
        self._directory = directory
        self._terminals: dict[str, Terminal] = {}
        self._printed = ""

    def take(self, step: Step) -> None:
        """Does or checks one step."""
        print(f"-- {step.kind} {step.name}\n{step.text}", flush=True)
        if step.kind == "file":
            Path(self._directory, step.name).write_text(step.text)
        elif step.kind == "terminal":
            self._terminals[step.name] = Terminal(step.text, self._directory)
        elif step.kind == "run":
            code, self._printed = Terminal(step.text, self._directory).wait(TIMEOUT_S)
            assert code == 0, f"ended with {code}:\n{self._printed}"
        elif step.kind == "printed":
            assert self._printed == step.text, f"printed:\n{self._printed}"
        elif step.kind == "shows":
            for line in step.text.splitlines():
                self._terminals[step.name].expect_line(line, TIMEOUT_S)
        else:
            self._terminals.pop(step.name).press_ctrl_c(TIMEOUT_S)

    def close(self) -> None:
        """Ends all terminals."""
        for terminal in self._terminals.values():
            terminal.close()


def main() -> None:
    """Takes every step of the page, in order."""
    page, directory = sys.argv[1:]
    bring_loopback_up()
    walk = Walk(directory)
    try:
        for step in steps(Path(page).read_text()):
            walk.take(step)
    finally:
        walk.close()


if __name__ == "__main__":
    main()
