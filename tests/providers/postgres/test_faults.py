"""The server's disk is full, a standby is away, cables are cut: clear errors, nothing half done, and it goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from compat_tests.on_postgres import PostgresServer
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import ConnectionLoss, StorageFullError

from .cables import BOTH, FROM_SERVER, TO_SERVER, Network, unavailable
from .kills import crash

pytestmark = pytest.mark.slow
LARGE = 900_000


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory to which the server's user gets, too, which is not so in pytest's own."""
    with tempfile.TemporaryDirectory(prefix="fk-faults-", dir="/tmp") as made:
        os.chmod(made, 0o777)
        yield Path(made)


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    disk = place / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64m,mode=777", "none"]
    mount = subprocess.run(["mount", *options, str(disk)], stderr=subprocess.PIPE)
    if mount.returncode:
        pytest.skip("can't mount here: %r" % mount.stderr)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def content(number: int) -> bytes:
    """What can't be compressed."""
    return random.Random(number).randbytes(LARGE)


@pytest.mark.timeout(120)
def test_a_full_disk(small_disk: Path, place: Path) -> None:
    """By large nodes, until one is refused; each that was answered is there whole, and no other one."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(3_000_000))
    settings = {"max_wal_size": "8MB", "min_wal_size": "2MB", "shared_buffers": "16MB"}
    made = ["--wal-segsize=1", "--waldir", str(place / "wal")]
    with PostgresServer(settings=settings, disk=small_disk, made=made) as server, running(server.url) as zk:
        done = 0
        zk.create("/full")
        zk.create("/small", b"0")
        with pytest.raises(StorageFullError):
            while True:
                zk.create("/full/%d" % done, content(done))
                done += 1
        assert done > 3 and sorted(map(int, zk.get_children("/full"))) == list(range(done))
        ballast.unlink()
        zk.create("/full/%d" % done, content(done))
        for number in range(done + 1):
            assert zk.get("/full/%d" % number)[0] == content(number)
        assert zk.set("/small", b"1").version == 1


@pytest.mark.timeout(120)
def test_a_full_disk_that_has_the_log_too(small_disk: Path) -> None:
    """Such a server ends, and what was asked may be done; started again when there is room, it has all it answered."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(8_000_000))
    settings = {"max_wal_size": "8MB", "min_wal_size": "2MB", "shared_buffers": "16MB"}
    with PostgresServer(settings=settings, disk=small_disk, made=["--wal-segsize=1"]) as server:
        with running(server.url) as zk:
            done = 0
            zk.create("/full")
            with pytest.raises((ConnectionLoss, StorageFullError)):
                while True:
                    zk.create("/full/%d" % done, content(done))
                    done += 1
            ballast.unlink()
            crash(server)
            found = zk.retry(zk.get_children, "/full")
            assert done > 3 and len(found) in (done, done + 1)
            for number in map(int, found):
                assert zk.retry(zk.get, "/full/%d" % number)[0] == content(number)


@contextlib.contextmanager
def running(url: str) -> Iterator[KazooClient]:
    """A client that has time."""
    zk = KazooClient(url, timeout=20, connection_retry={"max_tries": -1, "max_delay": 0.2})
    zk.start(timeout=60)
    try:
        yield zk
    finally:
        zk.stop()
        zk.close()


class Told:
    """The states of a client, and when it was told them."""

    def __init__(self, client: KazooClient) -> None:
        self.states: List[str] = []
        self.at: Dict[str, float] = {}
        self._changed = threading.Condition()
        client.add_listener(self._listen)

    def _listen(self, state: str) -> None:
        with self._changed:
            self.states.append(state)
            self.at[state] = time.monotonic()
            self._changed.notify_all()

    def wait(self, *states: str) -> None:
        """Until it was told all of these, in order, and nothing else."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.states == list(states), 60), self.states


@pytest.mark.timeout(200)
def test_cut_cables() -> None:
    """Three clients, each cut off in another way, one of them the writer: others go on, and those have to let go.

    Each is told SUSPENDED before what it held is gone; what it held is gone by its timeout; it is LOST then.
    """
    why = unavailable()
    if why:
        pytest.skip(why)
    ways = [(TO_SERVER,), (FROM_SERVER,), BOTH]
    with Network(4) as network, contextlib.ExitStack() as stack:
        here = network.cables[3]
        server = stack.enter_context(PostgresServer(host=here.host, inside=network.inside))
        cut: List[KazooClient] = []
        for number, cable in enumerate(network.cables[:3]):
            zk = KazooClient(server.url.replace(here.host, cable.host), timeout=4)
            zk.start(timeout=30)
            stack.callback(zk.close)
            stack.callback(zk.stop)
            zk.create("/held-%d" % number, ephemeral=True)
            cut.append(zk)
        other = stack.enter_context(running(server.url))
        other.create("/other")
        gone: Dict[str, float] = {}
        left = threading.Event()

        @other.ChildrenWatch("/")
        def look(children: List[str]) -> None:
            for number in range(3):
                if "held-%d" % number not in children:
                    gone.setdefault("held-%d" % number, time.monotonic())
            if len(gone) == 3:
                left.set()

        told = [Told(zk) for zk in cut]
        began = time.monotonic()
        for cable, way in zip(network.cables, ways):
            cable.cut(*way)
        for version in range(1, 21):
            assert other.retry(other.set, "/other", b"%d" % version).version == version
        assert left.wait(60)
        for number in range(3):
            told[number].wait("SUSPENDED")
            assert began < told[number].at["SUSPENDED"] < gone["held-%d" % number]
        for cable in network.cables:
            cable.mend()
        for each, zk in zip(told, cut):
            each.wait("SUSPENDED", "LOST", "CONNECTED")
            assert zk.retry(zk.get, "/other")[0] == b"20"
        print("gone after", sorted(round(at - began, 1) for at in gone.values()))


@pytest.mark.timeout(120)
def test_while_a_synchronous_standby_is_away_nothing_is_answered() -> None:
    """What was asked then is answered as soon as it is back; sessions live on meanwhile, and reads go on."""
    with PostgresServer() as primary, PostgresServer(primary=primary) as standby, running(primary.url) as zk:
        primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.ask("SELECT pg_reload_conf()")
        zk.create("/a")
        session = zk.client_id
        standby.stop(signal.SIGINT)
        asked = zk.set_async("/a", b"1")
        while not primary.ask("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"):
            time.sleep(0.01)
        assert not asked.ready()
        standby.start()
        assert asked.get(timeout=60).version == 1
        assert zk.client_id == session and zk.get("/a")[0] == b"1"
