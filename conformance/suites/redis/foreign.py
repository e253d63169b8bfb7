"""Test suites of others, unpacked from the packages that carry them; nothing of them is kept in this repository."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

CACHE = Path(sys.prefix) / "foreign"


def sdist(name: str, version: str) -> Path:
    """The unpacked source distribution of a Python package."""
    home = CACHE / f"{name}-{version}"
    if not home.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                   "--no-binary", ":all:", "--dest", CACHE, f"{name}=={version}"]
        subprocess.run(command, check=True, timeout=120)
        unpack(CACHE / f"{name}-{version}.tar.gz")
    return home


def debian_source(name: str) -> Path:
    """The unpacked upstream source of a Debian package, by the package sources that apt has, asked for source code."""
    home = CACHE / f"debian-{name}"
    if not home.exists():
        lists = CACHE / "apt"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        # Not among the lists: apt removes there what it does not know.
        sources = CACHE / "source.sources"
        binary = Path("/etc/apt/sources.list.d/debian.sources").read_text()
        sources.write_text(binary.replace("Types: deb\n", "Types: deb-src\n"))
        options = ["-qq", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null", "-o",
                   f"Dir::State::Lists={lists}"]
        subprocess.run(["apt-get", *options, "update"], check=True, timeout=120)
        subprocess.run(["apt-get", *options, "source", "--download-only", name], check=True, timeout=120, cwd=CACHE)
        archive = next(CACHE.glob(f"{name}_*.orig.tar.gz"))
        unpack(archive)
        shutil.move(next(path for path in CACHE.glob(f"{name}-*") if path.is_dir()), home)
    return home


def unpack(archive: Path) -> None:
    """Unpacks an archive beside itself."""
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent, filter="data")
