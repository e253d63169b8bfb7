"""ioredis's own tests of publish and subscribe, from a checkout: `python -m suites.redis.ioredis CHECKOUT` in conformance/.

Its packages come without tests, and no registry has them, so this is no part of the suite: clone
https://github.com/redis/ioredis (tried with 6.0.0) and name the place. The tests want port 6379, so they run in a network
namespace of their own, which takes root or user namespaces. Each file runs against Debian's Redis and against Busbar; a
test that passes by Redis must pass by Busbar. Files that need other data types than strings are not among them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.gateway import binary

FILES = [
    "pub_sub.ts", "spub_ssub.ts", "monitor.ts", "watch-exec.ts", "transaction.ts", "ready_check.ts", "client_info.ts",
    "commands/subscribe.ts", "commands/psubscribe.ts", "commands/ssubscribe.ts", "commands/unsubscribe.ts",
    "commands/punsubscribe.ts", "commands/sunsubscribe.ts", "commands/publish.ts", "commands/spublish.ts",
    "commands/pubsub.ts", "cluster/pub_sub.ts", "cluster/spub_ssub.ts", "cluster/ClusterSubscriber.ts",
]
PORT = 6379
TIMEOUT_S = 300

# What the tests themselves use of commands that Busbar does not have.
OUT_OF_SCOPE = {
    "monitor rejects when monitor is disabled": "ACL SETUSER",
    "transaction transformer should trigger transformer": "HSET",
    "transaction transformer should trigger transformer inside pipeline": "HSET",
}


def server(name: str, directory: str) -> list[str]:
    """The command that starts a server at port 6379."""
    if name == "redis":
        return ["redis-server", "--port", str(PORT), "--save", "", "--dir", directory]
    options = [f'listeners.resp.bind="127.0.0.1:{PORT}"', f'storage.data_dir="{directory}/data"', 'storage.disk_free_min="0B"']
    options += [f"listeners.{other}.enabled=false" for other in ("amqp", "mqtt", "http")]
    config = Path(directory, "busbar.toml")
    config.write_text("")
    return [str(binary()), "--config", str(config), *[word for option in options for word in ("--set", option)]]


def run(name: str, checkout: Path) -> dict[str, set[str]]:
    """The names of the tests that passed and failed."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    files = [f"test/functional/{file}" for file in FILES]
    mocha = ["npx", "mocha", "--no-experimental-strip-types", "test/helpers/*.ts", *files, "--reporter", "json"]
    environment = {**os.environ, "TS_NODE_TRANSPILE_ONLY": "true", "NODE_ENV": "test"}
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(server(name, directory), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        done = subprocess.run(mocha, cwd=checkout, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S,
                              check=False)
        process.terminate()
        process.wait(20)
    report = json.loads(done.stdout[done.stdout.index("{\n"):])
    return {kind: {test["fullTitle"] for test in report[kind]} for kind in ("passes", "failures")}


def main(checkout: Path) -> int:
    """Compares the two servers; 0 if Busbar passes what it should."""
    if not (checkout / "node_modules").exists():
        needed = ["chai@4", "chai-as-promised@7", "mocha@11", "server-destroy@1", "sinon@13", "ts-node@10", "typescript@5"]
        # Of its own list for developers, most has nothing to do with its tests.
        subprocess.run(["npm", "pkg", "delete", "devDependencies"], cwd=checkout, check=True)
        options = ["--silent", "--no-audit", "--no-fund", "--no-save", "--legacy-peer-deps", "--ignore-scripts"]
        subprocess.run(["npm", "install", *options, *needed], cwd=checkout, check=True)
    redis, busbar = (run(name, checkout) for name in ("redis", "busbar"))
    missing = redis["passes"] - busbar["passes"]
    for title in sorted(missing):
        print(f"fails by Busbar alone: {title}" + (f" (uses {OUT_OF_SCOPE[title]})" if title in OUT_OF_SCOPE else ""))
    print(f"Redis passes {len(redis['passes'])}, Busbar {len(busbar['passes'])}")
    return int(bool(missing - OUT_OF_SCOPE.keys()) or not redis["passes"])


if __name__ == "__main__":
    if "--inside" not in sys.argv:
        command = ["unshare", "--net", "--map-root-user", sys.executable, "-m", "suites.redis.ioredis", "--inside", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    raise SystemExit(main(Path(sys.argv[2])))
