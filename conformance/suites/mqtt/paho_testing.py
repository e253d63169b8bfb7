"""The interoperability tests of paho.mqtt.testing against the gateway. They are in no package registry:

    git clone https://github.com/eclipse/paho.mqtt.testing
    cd conformance
    BUSBAR_BIN=../target/release/busbar .venv/bin/python -m suites.mqtt.paho_testing ../../paho.mqtt.testing [case ...]

Runs `client_test.py` (MQTT 3.1.1) and `client_test5.py` (MQTT 5), unmodified, each with the configuration that it
asks for. Several of its cases send a packet on one connection and rely on its being handled before what they send
on another one next; they hold where the machine has nothing else to do. The same cases without that are in
`test_paho_cases.py`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from support.gateway import Gateway

# A subscription to test/nosubscribe is refused; its key on the bus is test.nosubscribe.
CONFIG = r"""
[[users]]
name = "guest"
password_hash = ""
loopback_only = true

[[users.permissions]]
vhost = "/"
configure = ".*"
write = ".*"
read = ".*"

[[users.topic_permissions]]
exchange = "amq.topic"
read_except = '^test\.nosubscribe$'
"""
# The suite wants a refusal that does not say why (0x80), and a keep alive that the server chooses, for which only
# MQTT 5 has a word.
CONFIG_5 = '[mqtt]\nkeep_alive_max = "60s"\ntell_missing_rights = false\n' + CONFIG

# The suites' own main functions do not get past unittest's arguments.
RUN = """
import importlib, logging, sys, unittest
name, port = sys.argv[1], int(sys.argv[2])
suite = importlib.import_module(name)
prefix = "client_test5/" if name == "client_test5" else ""
suite.host, suite.port, suite.topic_prefix = "127.0.0.1", port, prefix
suite.topics = [prefix + topic for topic in ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")]
suite.wildtopics = [prefix + topic for topic in ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")]
suite.nosubscribe_topics = ("test/nosubscribe",)
logging.getLogger().setLevel(logging.CRITICAL)
unittest.main(module=suite, argv=[name, "-v", *sys.argv[3:]])
"""


def main() -> int:
    """Runs both; gives how many failed."""
    folder, cases = Path(sys.argv[1]).resolve() / "interoperability", sys.argv[2:]
    failed = 0
    for name, config in (("client_test", CONFIG), ("client_test5", CONFIG_5)):
        with tempfile.TemporaryDirectory() as directory:
            gateway = Gateway(Path(directory), config).start()
            words = [sys.executable, "-W", "ignore", "-c", RUN, name, gateway.port("mqtt")]
            words += [f"Test.{case}" for case in cases]
            done = subprocess.run([str(word) for word in words], cwd=folder)
            gateway.stop()
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
