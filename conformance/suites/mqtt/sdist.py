"""Suites that come in a package's source archive: fetched from the registry, never kept here, run as they are."""

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
CONFORMANCE = HERE.parents[1]
FETCH_TIMEOUT_S = 120


@dataclass
class Outcome:
    """What a run of a suite gave."""

    passed: set[str]
    failed: dict[str, str]  # with the first line of why
    output: str


def fetch(name: str, version: str, directory: Path) -> Path:
    """Downloads a package's source archive and unpacks it; gives the folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
               "--no-deps", "--no-binary", ":all:", f"{name}=={version}", "-d", directory]
    subprocess.run([str(word) for word in command], check=True, timeout=FETCH_TIMEOUT_S)
    (archive,) = directory.glob(f"{name}-{version}.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(directory, filter="data")
    return directory / f"{name}-{version}"


def run(folder: Path, arguments: list[str], environment: dict[str, str], timeout_s: int) -> Outcome:
    """Runs a suite's tests from within its folder, by this environment's pytest."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
    # The folder itself holds the package: what is tested is the archive's own code.
    path = os.pathsep.join([str(folder), str(CONFORMANCE)])
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path, **environment},
                          capture_output=True, text=True, timeout=timeout_s)
    assert report.exists(), done.stdout + done.stderr
    passed, failed = set(), {}
    for case in ElementTree.parse(report).iter("testcase"):
        fault = case.find("failure") if case.find("failure") is not None else case.find("error")
        if fault is not None:
            failed[case.get("name")] = fault.get("message", "").splitlines()[0]
        elif case.find("skipped") is None:
            passed.add(case.get("name"))
    return Outcome(passed, failed, done.stdout)


def check(outcome: Outcome, at_least: int) -> None:
    """Fails unless every test passed, and as many as the suite is known to have."""
    assert not outcome.failed, f"{outcome.failed}\n{outcome.output[-4000:]}"
    assert len(outcome.passed) >= at_least, f"only {len(outcome.passed)} tests ran\n{outcome.output[-4000:]}"
