"""Each call of SQLite fails once, in turn, in every way that tells: nothing is lost, nothing half done, nobody hangs.

The calls are found by counting: the same life of a client is lived again with the next call failing, until one is lived
in which nothing failed. Everything is shipped code, the host included; what fails are the statements of the databases.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from kazoo.exceptions import ConnectionLoss, KazooException, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import DeploymentConfigurationError, StorageFullError

PATIENCE_S = 30.0
FULL, WRITE_FAILED, FSYNC_FAILED = 13, 778, 1034
TEXTS = {FULL: "database or disk is full", WRITE_FAILED: "disk I/O error", FSYNC_FAILED: "disk I/O error"}
WRITING = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE", "COMMIT")


class Way(NamedTuple):
    """How a call fails. ``only``: statements that start so; ``done``: it happened all the same."""

    code: int
    only: Tuple[str, ...] = ("",)
    done: bool = False
    lasts: bool = False


WAYS = {
    "no room": Way(FULL),
    "not written": Way(WRITE_FAILED),
    "not synced, and not there": Way(FSYNC_FAILED, ("COMMIT",)),
    "not synced, but there": Way(FSYNC_FAILED, ("COMMIT",), done=True),
    "no room from here on": Way(FULL, WRITING, lasts=True),
}


class Disk:
    """Counts calls, and has one of them fail."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._way: Optional[Way] = None
        self._left = 0
        self.fired: List[str] = []

    def fail(self, way: Way, at: int) -> None:
        """The ``at``-th call from now on fails, and those after it if it lasts."""
        with self._lock:
            self._way, self._left, self.fired = way, at, []

    def mend(self) -> None:
        """No more failures."""
        with self._lock:
            self._way = None

    def call(self, sql: str) -> Tuple[bool, Optional[sqlite3.OperationalError]]:
        """(whether to do it, what to raise then)."""
        with self._lock:
            way, words = self._way, sql.lstrip()
            if way is None or not words.startswith(way.only) or words == "ROLLBACK":
                return True, None
            self._left -= 1
            if self._left > 0 or (self._left < 0 and not way.lasts):
                return True, None
            self.fired.append(words.split("\n")[0][:60])
            error = sqlite3.OperationalError(TEXTS[way.code])
            error.sqlite_errorcode = way.code
            return way.done, error


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """All that SQLite does in this process goes through it."""
    made, connect = Disk(), sqlite3.connect

    class Connection(sqlite3.Connection):
        """One that may fail."""

        def _ask(self, sql: str, do: Any) -> Any:
            doing, error = made.call(sql)
            result = do() if doing else None
            if error is not None:
                raise error
            return result

        def execute(self, sql: str, *rest: Any) -> Any:
            """As sqlite3's."""
            return self._ask(sql, lambda: super(Connection, self).execute(sql, *rest))

        def executemany(self, sql: str, *rest: Any) -> Any:
            """As sqlite3's."""
            return self._ask(sql, lambda: super(Connection, self).executemany(sql, *rest))

        def executescript(self, sql: str) -> Any:
            """As sqlite3's."""
            return self._ask(sql, lambda: super(Connection, self).executescript(sql))

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **options: connect(*a, **{"factory": Connection, **options}))
    yield made
    made.mend()


class Life:
    """One client, from its start to its end; what it was told of each thing it asked for."""

    def __init__(self, url: str) -> None:
        self.client: Any = KazooClient(url, timeout=20.0)
        self.told: Dict[str, Any] = {}
        self.events: Dict[str, List[str]] = {"data": [], "child": []}

    def start(self) -> bool:
        """Whether it could."""
        try:
            self.client.start(PATIENCE_S)
        except DeploymentConfigurationError:
            return False  # definite: nothing was opened
        return True

    def live(self) -> None:
        """Reads, watches, writes in one go, and ends. Each call is answered, one way or the other."""
        c = self.client
        self._ask("watch data", c.get_async("/top/data", lambda event: self.events["data"].append(event.type)))
        self._ask("watch child", c.get_children_async("/top", lambda event: self.events["child"].append(event.type)))
        both = c.transaction()
        for name in ("one", "two"):
            both.create("/multi/" + name, b"")
        writes = {
            "create": c.create_async("/top/new", b"new"),
            "set": c.set_async("/top/data", b"set"),
            "delete": c.delete_async("/top/old"),
            "multi": both.commit_async(),
            "ephemeral": c.create_async("/ephemeral", ephemeral=True),
        }
        for name, result in writes.items():
            self._ask(name, result)

    def _ask(self, name: str, result: Any) -> None:
        try:
            value = result.get(timeout=PATIENCE_S)
            refused = [each for each in value if isinstance(each, Exception)] if name == "multi" else []
            self.told[name] = refused[0] if refused else None
        except KazooTimeoutError:
            raise AssertionError("no answer to " + name) from None
        except KazooException as error:
            self.told[name] = error

    def end(self) -> None:
        """The session is closed, or nearly so."""
        self.client.stop()
        self.client.close()


def _prepared(url: str) -> None:
    client: Any = KazooClient(url)
    client.start(PATIENCE_S)
    for path in ("/top/data", "/top/old", "/multi"):
        client.create(path, b"before", makepath=True)
    client.stop()
    client.close()


def _found(client: Any) -> Dict[str, bool]:
    """Which of the writes are there."""
    there = {path: client.exists(path) is not None for path in ("/top/new", "/top/old", "/multi/one", "/multi/two")}
    assert there["/multi/one"] == there["/multi/two"], "half a multi"
    changed = client.get("/top/data")[0] == b"set"
    return {"create": there["/top/new"], "set": changed, "delete": not there["/top/old"], "multi": there["/multi/one"]}


def _judge(life: Life, client: Any, where: str) -> None:
    found = _found(client)
    for name, happened in found.items():
        told = life.told[name]
        if isinstance(told, ConnectionLoss):
            continue  # in doubt
        assert told is None or isinstance(told, StorageFullError), "%s: %s was told %r" % (where, name, told)
        assert happened == (told is None), "%s: %s happened: %s, told %r" % (where, name, happened, told)
    for watch, changes in (("data", ["set"]), ("child", ["create", "delete"])):
        if life.told["watch " + watch] is None and any(life.told[change] is None for change in changes):
            seen = [kind for kind in life.events[watch] if kind != "NONE"]
            assert len(seen) == 1 or "NONE" in life.events[watch], "%s: watch of %s: %s" % (where, watch, seen)


def _lives(disk: Disk, way: Way, number: int, url: str) -> List[str]:
    """One life with the call of that number failing; which statements failed."""
    _prepared(url)
    life = Life(url)
    if way.lasts:
        assert life.start()
        disk.fail(way, number)
    else:
        disk.fail(way, number)
        if not life.start():
            assert disk.fired and life.start(), "the next try finds it mended"
    life.live()
    where = "call %d, %s" % (number, disk.fired)
    disk.mend()
    marker = threading.Event()  # whoever was told of no room goes on when there is some
    life.client.get_children("/top", lambda event: marker.set())
    assert life.client.retry(life.client.create, "/top/after", b"", sequence=True)
    assert marker.wait(PATIENCE_S), where  # every event before it has been delivered
    judge: Any = KazooClient(url)
    judge.start(PATIENCE_S)
    _judge(life, judge, where)
    life.end()
    try:
        judge.delete("/ephemeral")
        raise AssertionError(where + ": an ephemeral outlives its session")
    except NoNodeError:
        pass
    judge.stop()
    judge.close()
    return disk.fired


@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", WAYS)
def test_whichever_call_fails_nothing_is_lost_or_half_done(disk: Disk, way: str) -> None:
    fired: List[str] = []
    number = 0
    while True:
        number += 1
        found = _lives(disk, WAYS[way], number, "local://every%d" % number)
        if not found:
            break
        fired += found[:1]
    kinds = {words.split(" ")[0] for words in fired}
    assert "COMMIT" in kinds and number > 5, fired
    if "" in WAYS[way].only:
        assert {"SELECT", "INSERT", "UPDATE", "BEGIN"} <= kinds, fired
    print("%s: %d calls failed in turn" % (way, number - 1))
