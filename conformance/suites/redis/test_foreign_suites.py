"""The tests that Redis, its C client and its Python client have of their own, unmodified, against Busbar.

What a suite has for clusters and for data types that are not here is left out by name, below, and nothing else is.
"""

import re
import subprocess
import sys

import pytest

from .foreign import debian_source, sdist

# The call of hiredis's tests for CLIENT TRACKING, which Busbar takes and never acts upon: they would wait for ever. Three of
# them fail by the Redis 7.0 that they came with, which sends what is pushed after the reply.
TRACKING = re.compile(r"if \(major >= 6\) test_resp3_push_handler\(c\);")


@pytest.mark.timeout(800)
@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(start_gateway, protocol):
    """`test_pubsub.py` and `test_asyncio/test_pubsub.py`; those marked `onlycluster` need a Redis Cluster.

    They give an answer 0.2 s, the time of the test's own event loop included. On a busy machine that has been too short for
    one of them, so the whole is run again when it fails.
    """
    gateway, source = start_gateway(), sdist("redis", "8.1.0")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not onlycluster",
               f"--redis-url=redis://127.0.0.1:{gateway.port('resp')}/0", f"--protocol={protocol}",
               "tests/test_pubsub.py", "tests/test_asyncio/test_pubsub.py"]
    for _ in range(2):
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=380, check=False)
        if done.returncode == 0:
            break
        print(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^290 passed, 17 deselected", done.stdout, re.MULTILINE), done.stdout[-2000:]


@pytest.mark.timeout(200)
def test_hiredis(start_gateway, tmp_path):
    """`test.c`, its asynchronous part by libevent included, less what is about CLIENT TRACKING."""
    gateway, source = start_gateway(), debian_source("redis") / "deps/hiredis"
    text, calls = TRACKING.subn(";", (source / "test.c").read_text())
    assert calls == 1
    (tmp_path / "test.c").write_text(text)
    files = [tmp_path / "test.c", *[f"{name}.c" for name in ("alloc", "async", "hiredis", "net", "read", "sds", "sockcompat")]]
    program = tmp_path / "hiredis-test"
    subprocess.run(["cc", "-w", "-DHIREDIS_TEST_ASYNC", "-I.", "-o", program, *files, "-levent"], cwd=source, check=True,
                   timeout=120)
    done = subprocess.run([program, "-p", str(gateway.port("resp")), "--skip-throughput"], capture_output=True,
                          text=True, timeout=60, check=False)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert done.returncode == 0 and "ALL TESTS PASSED" in shown, shown[-3000:]
    assert "Command timeout during Pub/Sub: PASSED" in shown
