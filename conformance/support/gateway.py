"""One gateway process: start it on free loopback ports, read where it listens, stop it, kill it, start it again."""

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 20

_LISTENING = re.compile(r"^(\w+) listening on (?:127\.0\.0\.1|\[::1\]):(\d+)$")
_PROTOCOLS = ("amqp", "mqtt", "resp", "http")


def binary() -> Path:
    """The program under test: `BUSBAR_BIN`, or the release build of this checkout."""
    default = Path(__file__).resolve().parents[2] / "target/release/busbar"
    path = Path(os.environ.get("BUSBAR_BIN", default))
    assert path.exists(), f"{path} does not exist: run conformance/run, or set BUSBAR_BIN"
    return path


def hash_password(password: str) -> str:
    """The hash that `busbar passwd` prints for a configuration file."""
    done = subprocess.run(
        [binary(), "passwd"], input=password + "\n", capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip().splitlines()[-1]


class Gateway:
    """A gateway with its own directory, which outlives restarts.

    `config` is the text of its configuration file; ports and data directory are given by `--set`, and so are other
    addresses than a free port, by listener (`binds`). The data lies in the directory unless `data_dir` says where;
    `wrapper` is a command that runs it, such as strace.
    """

    def __init__(
        self,
        directory: Path,
        config: str = "",
        binds: dict[str, str] | None = None,
        *,
        data_dir: Path | None = None,
        wrapper: tuple[str, ...] = (),
    ):
        self.directory = directory
        self._binds = {name: "127.0.0.1:0" for name in _PROTOCOLS} | (binds or {})
        self.data_dir = data_dir or directory / "data"
        self.wrapper = wrapper
        self.log_path = directory / "busbar.log"
        self.ports: dict[str, int] = {}
        self._config_path = directory / "busbar.toml"
        self._config_path.write_text(config)
        self._process: subprocess.Popen | None = None

    def port(self, protocol: str) -> int:
        """The bound port of one listener: amqp, mqtt, resp or http."""
        assert protocol in self.ports, f"there was no line '{protocol} listening on ...'"
        return self.ports[protocol]

    def start(self) -> "Gateway":
        """Starts the process and waits for its `ready` line."""
        ready = self.launch()
        if not ready.wait(START_TIMEOUT_S) or self._process.poll() is not None:
            self.kill()
            raise AssertionError(f"the gateway did not become ready; its log ends:\n{self.log_tail()}")
        return self

    def launch(self) -> threading.Event:
        """Starts the process without waiting; the event is set when it is ready, or at its end."""
        assert self._process is None, "already running"
        self.ports = {}
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=subprocess.PIPE, stderr=log, text=True)
        ready = threading.Event()
        threading.Thread(target=self._read_output, args=(self._process, ready), daemon=True).start()
        return ready

    def stop(self) -> None:
        """SIGTERM, and waits for a clean end."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            code = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"SIGTERM did not stop the gateway within {STOP_TIMEOUT_S} s") from None
        assert code == 0, f"the gateway ended with {code}; its log ends:\n{self.log_tail()}"

    def kill(self) -> None:
        """SIGKILL: what it had not written is lost."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def signal(self, number: int) -> None:
        """Sends the process a signal."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Waits for the process to end by itself; its exit code."""
        process, self._process = self._process, None
        try:
            return process.wait(timeout_s)
        finally:
            process.kill()

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def memory_mib(self, field: str = "VmRSS") -> float:
        """The process's resident memory, or with `VmHWM` the most it ever was."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE)[1]) / 1024

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log, for a failure's message."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def _command(self) -> list[str]:
        settings = {f"listeners.{name}.bind": address for name, address in self._binds.items()}
        settings["storage.data_dir"] = str(self.data_dir)
        command = [*self.wrapper, str(binary()), "--config", str(self._config_path)]
        for key, value in settings.items():
            command += ["--set", f'{key}="{value}"']
        return command

    def _read_output(self, process: subprocess.Popen, ready: threading.Event) -> None:
        with self.log_path.open("a") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if match := _LISTENING.match(line.strip()):
                    self.ports[match[1]] = int(match[2])
                if line.strip() == "ready":
                    ready.set()
        ready.set()


class RunningServers:
    """Servers that somebody else started, named by `CONFORMANCE_ENDPOINTS`: the brokers that Busbar replaces."""

    def __init__(self, endpoints: str):
        pairs = (item.split("=") for item in endpoints.split(","))
        self.ports = {name.replace("redis", "resp"): int(port) for name, port in pairs}

    def port(self, protocol: str) -> int:
        """The port of one server."""
        return self.ports[protocol]

    def is_running(self) -> bool:
        """They are not ours to watch."""
        return True

    def log_tail(self) -> str:
        """Their logs are not ours to read."""
        return "(not started here)"


def wait_until(condition, timeout_s: float = 5.0, what: str = "the condition") -> None:
    """Polls until `condition()` is true; fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout_s} s"
        time.sleep(0.01)
