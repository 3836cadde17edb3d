"""A large tree moved between a real ZooKeeper, ``local://`` and the emulated AWS, with the times.

python -m tests.cli.large [NODES] [--kills N] [--aws MINUTES]: 0 if every node is equal on each side. Fills a ZooKeeper,
copies it to ``local://`` without and with kills, which are spread over the whole copy by how many nodes are there, then
back below a chroot. ``--aws``: then as many nodes as fit, to the emulated AWS and from there to the ZooKeeper again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from compat_tests.on_aws import emulated
from fk_backend import layout
from fk_kazoo.admin_store import AdminStore
from fk_kazoo.cli.target import connect, leave
from fk_kazoo.url import parse
from tests.differential.zookeeper_server import SUPER_CREDENTIAL, ZookeeperServer

GROUPS = 100
ROOT = "/app"
TOGETHER = 50
LOOK_EVERY_S = 0.1
SEED = 1
FIRST_ON_AWS = 500
"""Nodes of the copy to AWS that says how many fit."""


class Ended(NamedTuple):
    """What a process came to. ``memory_mb``: the most that it had."""

    code: int
    wall_s: float
    processor_s: float
    memory_mb: float
    printed: Dict[str, Any]


class Present(AdminStore):
    """How many nodes of the tree are there: from the store, so that this process is nobody's host."""

    def count(self) -> int:
        """Of those below the groups."""
        groups = ["%s/g%03d" % (ROOT, number) for number in range(GROUPS)]
        keys = [key for group in groups for key in layout.node_keys(self._url.namespace, group)]
        items = self._wait(self._admin_ports.ports.store.load(keys))
        pairs = [layout.pair_of(items[at : at + 2]) for at in range(0, len(items), 2)]
        return sum(pair[1].count for pair in pairs if pair is not None)


def fill(url: str, nodes: int) -> None:
    """Data of 0 to 500 bytes, an ACL of its own for each hundredth, a counter that is ahead for each fiftieth."""
    choice = random.Random(SEED)
    client = connect(url, [("digest", SUPER_CREDENTIAL)], 60, False)
    own = [*client.get_acls("/")[0], *_digest()]
    client.create(ROOT, b"")
    for number in range(GROUPS):
        client.create("%s/g%03d" % (ROOT, number), b"group")
    pending: List[Any] = []
    for first in range(0, nodes, TOGETHER):
        transaction = client.transaction()
        for number in range(first, min(first + TOGETHER, nodes)):
            path = "%s/g%03d/n%06d" % (ROOT, number % GROUPS, number)
            transaction.create(path, choice.randbytes(choice.randrange(500)), own if number % 100 == 0 else None)
            if number % 50 == 0:
                transaction.create(path + "/x")
                transaction.delete(path + "/x")
        pending.append(transaction.commit_async())
        if len(pending) > 20:
            _settled(pending.pop(0))
    for answer in pending:
        _settled(answer)
    leave(client)


def _digest() -> List[Any]:
    from kazoo.security import make_digest_acl

    return [make_digest_acl("somebody", "secret", read=True)]


def _settled(answer: Any) -> None:
    failed = [one for one in answer.get() if isinstance(one, Exception)]
    assert not failed, failed[0]


def run(*words: str, until: Optional[Callable[[], bool]] = None) -> Ended:
    """``fk-kazoo`` with these words; killed once ``until`` says so."""
    environ = {**os.environ, "FK_KAZOO_AUTH": "digest:" + SUPER_CREDENTIAL}
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([sys.executable, "-m", "fk_kazoo", *words, "--json"], env=environ, stdout=out)
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if until is not None and until():
                process.kill()
            time.sleep(LOOK_EVERY_S)
        wall_s = time.monotonic() - begun
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        out.seek(0)
        printed = out.read()
    return Ended(process.returncode, wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024,
                 json.loads(printed) if printed else {})  # fmt: skip


def info(what: str, done: Ended) -> None:
    """One line of figures."""
    figures = (what, done.wall_s, done.processor_s, done.memory_mb, os.getloadavg()[0])
    print("%-34s %7.1f s, %6.1f s of processor, %5.0f MB, load %.0f" % figures, flush=True)


def compared(one: str, other: str, *more: str) -> None:
    """AssertionError unless every node is equal."""
    done = run("compare", one, other, *more)
    info("compare", done)
    assert done.code == 0 and done.printed["equal_sides"], done.printed


def killed(source: str, destination: str, nodes: int, kills: int) -> None:
    """Kills at equal distances of the whole copy, then the end of it."""
    present: List[Present] = []

    def there() -> int:
        if not present and os.path.lexists(os.path.join(os.environ["FK_KAZOO_HOME"], parse(destination).deployment)):
            present.append(Present(parse(destination)))
        return present[0].count() if present else 0

    at, wall_s = [], 0.0
    for number in range(1, kills + 1):
        wanted = nodes * number // (kills + 1)
        done = run("copy", source, destination, until=lambda wanted=wanted: there() >= wanted)  # type: ignore[misc]
        wall_s += done.wall_s
        assert done.code == -9, "it ended before it was killed: %s" % (done,)
        at.append(there())
    done = run("copy", source, destination)
    info("copy, its last part after %d kills" % kills, done)
    print("killed when there were %s nodes; %.1f s together" % (at, wall_s + done.wall_s), flush=True)
    assert done.code == 0 and done.printed["equal"] >= at[-1], done.printed
    for one in present:
        one.close()


def on_aws(source: str, nodes: int, minutes: float) -> None:
    """As many groups as fit into the time, there and back. The speed of a first small one says how many."""
    with emulated(permissions=False) as variables:
        os.environ.update(variables)
        url = variables["FK_KAZOO_URL"]
        begun = time.monotonic()
        done = run("copy", source, url, "%s/g000" % ROOT, "--timeout", "60")
        info("copy to AWS, emulated, %d nodes" % done.printed.get("created", 0), done)
        assert done.code == 0, done
        a_group_s = time.monotonic() - begun
        fit = max(1, min(GROUPS, int(minutes * 60 / 2.5 / a_group_s)))  # there, compared, and back, which is quicker
        paths = ["%s/g%03d" % (ROOT, number) for number in range(fit)]
        done = run("copy", source, url, *paths, "--timeout", "60")
        info("copy to AWS, emulated, %d nodes" % sum(done.printed.get(key, 0) for key in ("created", "equal")), done)
        assert done.code == 0, done
        compared(source, url, *paths, "--timeout", "60")
        done = run("copy", url, source + "/aws", *paths, "--timeout", "60")
        info("copy from AWS to ZooKeeper", done)
        assert done.code == 0, done
        compared(url, source + "/aws", *paths, "--timeout", "60")
        compared(source, source + "/aws", *paths, "--timeout", "60")


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cli.large", description=__doc__)
    parser.add_argument("nodes", nargs="?", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--aws", type=float, default=0.0, metavar="MINUTES")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fk-kazoo-large-") as home:
        os.environ["FK_KAZOO_HOME"] = os.path.join(home, "local")
        (Path(home) / "zookeeper").mkdir()
        with ZookeeperServer(Path(home) / "zookeeper", heap="1g") as server:
            url = "zk://" + server.hosts
            begun = time.monotonic()
            fill(url, options.nodes)
            print("ZooKeeper filled with %d nodes in %.1f s" % (options.nodes, time.monotonic() - begun), flush=True)
            done = run("copy", url, "local://once")
            info("copy to local://", done)
            assert done.code == 0, done
            compared(url, "local://once")
            done = run("copy", "local://once", url + "/back")
            info("copy to ZooKeeper", done)
            assert done.code == 0, done
            compared("local://once", url + "/back")
            if options.kills:
                killed(url, "local://killed", options.nodes, options.kills)
                compared(url, "local://killed", ROOT)
            if options.aws:
                on_aws(url, options.nodes, options.aws)
    print("every node is equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
