"""`busbar lan listen` beside a gateway that has the same link."""

import subprocess
import time

from lan.conftest import PEERS
from support.gateway import binary


def test_lan_listen_prints_what_arrives(lan_gateway, codec, peer):
    command = [str(binary()), "lan", "listen", f"{codec}-in", "--count", "1"]
    command += ["--config", str(lan_gateway.directory / "busbar.toml")]
    listener = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        # It does not say when it has joined: the peer repeats itself.
        for _ in range(100):
            peer.say(PEERS[codec][1], b"21.5")
            time.sleep(0.1)
            if listener.poll() is not None:
                break
        assert listener.wait(5) == 0
        topic = f"from/{codec}/" + ("fixed" if codec == "raw" else "a/b")
        assert listener.stdout.read() == f"{topic}\t21.5\n"
    finally:
        listener.kill()
        listener.wait()
