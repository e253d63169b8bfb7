"""The suites' own virtual environment, and how one of them is run in it.

An environment of its own, because a pytest plugin that one suite needs changes how the tests of others are run.
"""

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
CONFORMANCE = HERE.parents[1]
# Inside the environment that conformance/run makes, so that it goes when that is made anew.
FOLDER = CONFORMANCE / ".venv/suites-amqp"
INSTALL_TIMEOUT_S = 300


@cache
def python() -> Path:
    """The environment's interpreter; it is made at the first call, and again when its requirements change."""
    interpreter, wanted, stamp = FOLDER / "bin/python", HERE / "requirements.txt", FOLDER / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        _do(sys.executable, "-m", "venv", "--clear", FOLDER)
        _do(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted)
        stamp.write_text(wanted.read_text())
    return interpreter


def source_of(package: str) -> Path:
    """The source archive of a package, of the version that the environment has, unpacked and not changed."""
    version = _do(python(), "-c", f"from importlib.metadata import version; print(version({package!r}))").strip()
    folder = FOLDER / f"sources/{package.replace('-', '_')}-{version}"
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        _do(python(), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary",
            package, "--dest", folder.parent, f"{package}=={version}")
        with tarfile.open(f"{folder}.tar.gz") as archive:
            archive.extractall(folder.parent, filter="data")
    return folder


@dataclass
class Outcome:
    """What a run of a suite gave: how many passed, which did not, and what was printed."""

    passed: int
    failed: set[str]
    output: str


def run(folder: Path, arguments: list[str], environment: dict[str, str], timeout_s: int) -> Outcome:
    """Runs a suite from its own folder."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
    # The archive's own code is tested; programs that a suite starts are the environment's.
    paths = {"PYTHONPATH": f"{folder}:{CONFORMANCE}", "PATH": f"{FOLDER}/bin:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env={**os.environ, **paths, **environment},
                          capture_output=True, text=True, timeout=timeout_s, check=False)
    assert report.exists(), done.stdout + done.stderr
    passed, failed = 0, set()
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(case.get("name"))
        elif case.find("skipped") is None:
            passed += 1
    return Outcome(passed, failed, done.stdout[-6000:])


def _do(*command: object) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
