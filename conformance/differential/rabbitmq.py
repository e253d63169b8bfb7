"""Debian's RabbitMQ as a process of the test's own: its node name, ports, directories, cookie and port mapper.

Nothing of a RabbitMQ that the machine runs is read or changed.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 30

# What the script uses, and what it does not need switched off.
_CONFIG = """
listeners.tcp.local = 127.0.0.1:{port}
log.console = true
log.console.level = warning
log.file = false
"""


def is_installed() -> bool:
    """Whether there is one to start."""
    return SERVER.exists()


class RabbitMq:
    """One node, started with an empty data directory."""

    def __init__(self, directory: Path, plugins: tuple[str, ...] = (), definitions: str = "", advanced: str = ""):
        self.directory = directory
        self._port = _free_port()
        self._plugins = plugins
        self._definitions = definitions
        self._advanced = advanced
        self._process: subprocess.Popen | None = None
        self._mapper: subprocess.Popen | None = None
        self.log_path = directory / "rabbitmq.log"

    def start(self) -> "RabbitMq":
        """Starts it and waits until AMQP is served."""
        for name in ("mnesia", "log", "home"):
            (self.directory / name).mkdir(exist_ok=True)
        config = _CONFIG.format(port=self._port)
        if self._definitions:
            (self.directory / "definitions.json").write_text(self._definitions)
            config += f"load_definitions = {self.directory}/definitions.json\n"
        (self.directory / "rabbitmq.conf").write_text(config)
        if self._advanced:
            (self.directory / "advanced.config").write_text(self._advanced)
        (self.directory / "plugins").write_text(f"[{','.join(self._plugins)}].")
        environment = self._environment()
        with self.log_path.open("ab") as log:
            self._mapper = subprocess.Popen([shutil.which("epmd")], env=environment, stdout=log, stderr=log)
            self._process = subprocess.Popen([SERVER], env=environment, cwd=self.directory, stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"RabbitMQ did not start; its log ends:\n{self.log_tail()}")
            time.sleep(0.1)
        return self

    def port(self, protocol: str) -> int:
        """Where it listens, in the words of `support.gateway.Gateway`."""
        assert protocol == "amqp", f"{protocol} is not served"
        return self._port

    def kill(self) -> None:
        """Ends it."""
        self.stop()

    def stop(self) -> None:
        """SIGTERM to the node and to its port mapper."""
        for process in (self._process, self._mapper):
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._process = self._mapper = None

    def kill_9(self) -> None:
        """SIGKILL to the node with all that it started, and to its port mapper."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._mapper.kill()
        self._mapper.wait()
        self._process = self._mapper = None

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log, for a failure's message."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": str(self.directory / "home"),
            "RABBITMQ_NODENAME": f"differential{self._port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.directory / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "none"),
            "RABBITMQ_DIST_PORT": str(_free_port()),
            "ERL_EPMD_PORT": str(_free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Two schedulers, no busy waiting: the machine belongs to others too.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **own}

    def _serves(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"AMQP\0\0\x09\x01")
                return len(connection.recv(1)) == 1
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
