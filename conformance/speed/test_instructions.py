"""A slower hot path fails the build: instructions per message, counted by callgrind.

Time depends on what else the machine does; the number of instructions does not. `instructions.json` holds what each
case cost when it was last looked at. 5 % more is a failure; whoever has a good reason, or has made it faster, writes
the new numbers with

    conformance/run speed --store-instructions

and says why in the commit.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

STORED = Path(__file__).with_name("instructions.json")
ROOM = 1.05
# Of one case: published messages, times the receivers that its name ends with.
MESSAGES = 10_000

CASES = json.loads(STORED.read_text())


@pytest.fixture(scope="module")
def hot_paths():
    """The program whose instructions are counted, built like the gateway."""
    program = Path(os.environ.get("HOT_PATHS_BIN") or Path(os.environ["BUSBAR_BIN"]).with_name("hot-paths"))
    for missing in [tool for tool in (str(program), "valgrind") if not shutil.which(tool)]:
        if os.environ.get("CI"):
            pytest.fail(f"{missing} is not there")
        pytest.skip(f"{missing} is not there")
    return program


def instructions_per_message(program: Path, case: str, directory: Path) -> float:
    command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*hot_paths::serve*"]
    command += [f"--callgrind-out-file={directory / case}", str(program), case]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counted = re.search(r"Collected : (\d+)", ended.stderr)
    assert counted, ended.stderr
    receivers = re.search(r"-to-(\d+)$", case)
    return int(counted[1]) / MESSAGES / (int(receivers[1]) if receivers else 1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_a_message_costs_no_more_instructions_than_it_did(hot_paths, tmp_path, case, request):
    now = instructions_per_message(hot_paths, case, tmp_path)
    if request.config.getoption("--store-instructions"):
        stored = json.loads(STORED.read_text()) | {case: round(now, 1)}
        STORED.write_text(json.dumps(stored, indent=2) + "\n")
        return
    print(f"{case}: {now:.1f} instructions a message, {CASES[case]} stored")
    assert now <= CASES[case] * ROOM, f"{case}: {now:.1f} instructions a message, {CASES[case]} before"
