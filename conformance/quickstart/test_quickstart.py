"""docs/quickstart.md does what it says: every command is typed, everything shown is checked."""

import os
import subprocess
import sys
from pathlib import Path

from quickstart.page import steps
from support.gateway import binary

CONFORMANCE = Path(__file__).resolve().parents[1]
PAGE = CONFORMANCE.parent / "docs/quickstart.md"


def test_the_page_can_be_walked_through(tmp_path):
    programs = f"{binary().resolve().parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": str(CONFORMANCE), "TERM": "xterm"}
    own_network = ["unshare", "--map-root-user", "--net"]
    walk = [sys.executable, "-m", "quickstart.walk", str(PAGE), str(tmp_path)]
    done = subprocess.run(own_network + walk, env=environment, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_steps_of_every_kind():
    kinds = {step.kind for step in steps(PAGE.read_text())}
    assert kinds == {"file", "terminal", "run", "printed", "shows", "ctrl-c"}
