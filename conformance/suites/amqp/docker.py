"""As much of Docker's HTTP interface as aio-pika's and aiormq's suites ask of it, with servers in place of containers.

Those suites start their RabbitMQ as a container. Here each container is a server process of ours, so that the suites
run unmodified, restarts included. What runs a program inside a container (`exec`) is not there.
"""

import itertools
import json
import re
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

AMQP, AMQPS = "5672/tcp", "5671/tcp"
# A port that nobody listens on: there is no TLS.
_CLOSED_PORT = "1"


class Containers:
    """The containers by id. `make(directory)` makes a server with `start()`, `kill()` and `port("amqp")`."""

    def __init__(self, directory: Path, make):
        self._directory = directory
        self._make = make
        self._ids = itertools.count(1)
        self._servers: dict[str, object] = {}

    def create(self) -> str:
        """A container that does not run yet."""
        name = f"server{next(self._ids)}"
        directory = self._directory / name
        directory.mkdir()
        self._servers[name] = self._make(directory)
        return name

    def start(self, name: str) -> None:
        """Starts it, for the first time or again."""
        self._servers[name].start()

    def kill(self, name: str) -> None:
        """Ends it at once; its data stays."""
        self._servers[name].kill()

    def ports(self, name: str) -> dict:
        """Where its ports are, as Docker says it."""
        port = str(self._servers[name].port("amqp"))
        return {AMQP: [{"HostPort": port}], AMQPS: [{"HostPort": _CLOSED_PORT}]}

    def close(self) -> None:
        """Ends all."""
        for server in self._servers.values():
            server.kill()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802 (the library's name)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        containers = self.server.containers
        if self.path.startswith("/images/create"):
            return self._answer(200, {"status": "there is nothing to pull"})
        if self.path == "/containers/create":
            return self._answer(201, {"Id": containers.create()})
        if match := re.match(r"/containers/(\w+)/(start|kill|stop)", self.path):
            name, verb = match.groups()
            containers.start(name) if verb == "start" else containers.kill(name)
            return self._answer(204)
        return self._answer(501, {"message": f"{self.path} is not there"})

    def do_GET(self):  # noqa: N802
        if match := re.match(r"/containers/(\w+)/json", self.path):
            return self._answer(200, {"NetworkSettings": {"Ports": self.server.containers.ports(match[1])}})
        return self._answer(501, {"message": f"{self.path} is not there"})

    def do_DELETE(self):  # noqa: N802
        self._answer(204)

    def _answer(self, status: int, body: object = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Says nothing."""

    def address_string(self) -> str:
        """A Unix socket's peer has no address."""
        return "local"


class Docker(socketserver.ThreadingUnixStreamServer):
    """The daemon, on a Unix socket. `DOCKER_HOST` is what its clients need."""

    daemon_threads = True

    def __init__(self, directory: Path, make):
        self._path = directory / "docker.sock"
        self.containers = Containers(directory, make)
        super().__init__(str(self._path), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        """The value of `DOCKER_HOST`."""
        return f"unix://{self._path}"

    def close(self) -> None:
        """Ends the daemon and its containers."""
        self.shutdown()
        self.server_close()
        self.containers.close()
