"""Interfaces that come and go, and a switch that forgets: the gateway's own tests of them, which need network namespaces."""

import subprocess
from pathlib import Path

import pytest
from support.network import Loopback

from .conftest import not_tested

ROOT = Path(__file__).parent.parent.parent


# The first run on a machine builds the tests.
@pytest.mark.timeout(900)
def test_links_outlive_what_befalls_their_interfaces(network):
    if isinstance(network, Loopback):
        not_tested("interfaces that come and go")
    command = ["cargo", "test", "--quiet", "--workspace", "--lib", "namespace", "--", "--ignored"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]
