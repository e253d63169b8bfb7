"""Wireshark's decoder on the peers' interface."""

import select
import subprocess


class Wireshark:
    """What Wireshark says of the MQTT-SN on a port, field by field."""

    FIELDS = ["msg.type", "qos", "retain", "topic.id.type", "topic.id", "pub.msg", "return.code", "topic"]

    def __init__(self, network, port: int):
        fields = [part for name in self.FIELDS for part in ("-e", f"mqttsn.{name}")]
        command = ["tshark", "-l", "-i", "eth0", "-f", f"udp port {port}", "-d", f"udp.port=={port},mqttsn"]
        command = [*network.enter, *command, "-T", "fields", "-E", "separator=|", *fields]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def begin(self, send) -> None:
        """Calls `send` until it is seen: tshark says that it captures some time before it does."""
        for _ in range(200):
            send()
            if select.select([self._process.stdout], [], [], 0.1)[0]:
                return
        raise AssertionError("tshark sees nothing")

    def read(self) -> dict[str, str]:
        """The next packet."""
        line = self._process.stdout.readline()
        assert line, "tshark ended"
        return dict(zip(self.FIELDS, line.rstrip("\n").split("|"), strict=True))

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def number(text: str) -> int:
    """A number however it is written."""
    return {"True": 1, "False": 0}[text] if text in ("True", "False") else int(text, 0)
