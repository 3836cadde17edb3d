"""A process that writes is killed before each of its calls in turn, while another one asks and goes on asking.

    python -m tests.providers.local.killed [MISTAKE]

Calls: the statements that write, what is written, synced, renamed and removed, the locks, and every datagram; from the
making of the deployment to the end of the process. Whatever it was answered is there, and nothing half of it; all that
the other one asks is answered, has happened once, and is in the tree as it was answered.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from typing import Any, Callable, List, Tuple

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Delete, Multi, SetData
from fk_backend.ports import STATE, Item, Put
from fk_backend.providers import local
from fk_backend.providers.local import files
from fk_backend.providers.local.event_sockets import EventSockets
from tests.providers.local import talker
from tests.providers.local.mistakes import plant
from tests.providers.local.talker import NS, Talker

WRITING = ("BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT", "PRAGMA journal_mode")


class Calls:
    """Counts the calls of this process, and kills it before one of them."""

    def __init__(self, at: int) -> None:
        self.count = 0
        self._at = at

    def met(self) -> None:
        """Here is one."""
        self.count += 1
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def over(self, place: Any, name: str) -> None:
        """Counts the calls of a function."""
        function: Callable[..., Any] = getattr(place, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.met()
            return function(*arguments, **options)

        setattr(place, name, counted)

    def watch(self) -> None:
        """From now on."""
        for place, name in (
            *((os, name) for name in ("mkdir", "pwrite", "fsync", "rename", "link", "unlink")),
            *((fcntl, "lockf"), (EventSockets, "_send")),
        ):
            self.over(place, name)
        met, connect = self.met, sqlite3.connect

        class Connection(sqlite3.Connection):
            """One whose statements are counted."""

            def execute(self, sql: str, *rest: Any) -> Any:
                """As sqlite3's."""
                if sql.lstrip().startswith(WRITING):
                    met()
                return super().execute(sql, *rest)

            def executescript(self, sql: str) -> Any:
                """As sqlite3's."""
                met()
                return super().executescript(sql)

            def close(self) -> None:
                """As sqlite3's."""
                met()
                super().close()

        sqlite3.connect = lambda *a, **options: connect(*a, **{"factory": Connection, **options})  # type: ignore


def _victim(at: int, told: int, ready: int) -> None:
    """A process that writes, until it is told to end or killed; it says how many of its writes were answered."""

    async def write() -> None:
        gateway: Any = await local.connect("d", {})
        os.write(ready, b"r")
        victim = Talker(gateway, "victim-0")
        await victim.open()
        for request in VICTIMS:
            ((code, _, _),) = await victim.ask(request)
            assert code == Error.OK
            os.write(ready, b"a")
        os.write(ready, b"d")
        ends = asyncio.Event()
        asyncio.get_event_loop().add_reader(told, ends.set)
        await ends.wait()
        await gateway.close()

    calls = Calls(at)
    calls.watch()
    asyncio.run(write())
    os.write(ready, b"%d" % calls.count)


def _create(path: str, flags: int = 0) -> Create:
    return Create(path, b"x", OPEN_ACL, flags, 0, False)


VICTIMS = (
    _create("/v"),
    _create("/v/1"),
    Multi((_create("/v/2"), _create("/v/3"))),
    SetData("/v", b"set", 0),
    Multi((Delete("/v/1", 0), SetData("/v", b"again", 1))),
)


async def _asks(client: Talker) -> List[Any]:
    """What the client writes while the other one is killed: one after the other, and several at once."""
    results = await client.ask(_create("/a"), _create("/b"))
    results += await client.ask(_create("/a/s-", 2))
    numbers = await client.send(SetData("/a", b"1", 0))
    numbers += await client.send(_create("/a/s-", 2), Delete("/b", 0))
    numbers += await client.send(Multi((_create("/m"), _create("/m/n"), SetData("/a", b"2", 1))))
    results += await client.results(numbers)
    results += await client.ask(_create("/a/e", 1))
    return results


async def _client(end_victim: Callable[[], int]) -> None:
    gateway: Any = await local.connect("d", {})
    try:
        client = Talker(gateway, "client")
        await client.open()
        watch = layout.registration_key(NS, "/a", "data", "client")
        await gateway.store.commit([Put(watch, Item(1, b""), owner="client")])
        results = await _asks(client)
        answered = end_victim()
        results += await client.ask(_create("/last"))
        made = [value for _, value, _ in results if isinstance(value, str)]
        assert [code for code, _, _ in results] == [Error.OK] * 9, results
        assert made == ["/a", "/b", "/a/s-0000000000", "/a/s-0000000001", "/a/e", "/last"], results
        zxids = [zxid for _, _, zxid in results]
        assert zxids == sorted(set(zxids)), zxids
        assert client.fired, "a watch was not told"
        assert await _tree(gateway.store) == TREE
        await _check_victim(gateway.store, answered)
    finally:
        await gateway.close()


async def _check_victim(store: Any, answered: int) -> None:
    """What of its writes is there: all that was answered, and at most one more, whole."""
    rows = dict((await store.query(STATE, layout.node_partition(NS, "/v"))).rows)
    names = sorted(sort[1:] for sort in rows if sort.startswith(layout.CHILDREN))
    pair = layout.pair_of([rows.get(layout.NODE), rows.get(layout.FAMILY)])
    found = (pair and pair[0].data, names)
    states: List[Any] = [
        *[(None, []), (b"x", []), (b"x", ["1"]), (b"x", ["1", "2", "3"]), (b"set", ["1", "2", "3"])],
        (b"again", ["2", "3"]),
    ]
    assert found in states[answered : answered + 2], (answered, found)
    for name in names:
        assert (await store.query(STATE, layout.node_partition(NS, "/v/" + name))).rows


async def _tree(store: Any) -> List[Tuple[str, Any, int, List[str]]]:
    """(path, data, version, children) of what the client made."""
    found = []
    for path in ("/a", "/m", "/last"):
        rows = dict((await store.query(STATE, layout.node_partition(NS, path))).rows)
        items = [rows.get(layout.NODE), rows.get(layout.FAMILY)]
        pair = layout.pair_of(items)
        assert pair is not None and not layout.torn(items), path
        names = sorted(sort[1:] for sort in rows if sort.startswith(layout.CHILDREN))
        assert pair[1].count == len(names), path
        found.append((path, pair[0].data, pair[0].version, names))
    rows = dict((await store.query(STATE, layout.node_partition(NS, "/b"))).rows)
    assert not rows, rows
    return found


TREE = [
    ("/a", b"2", 2, ["e", "s-0000000000", "s-0000000001"]),
    ("/m", b"x", 0, ["n"]),
    ("/last", b"x", 0, []),
]


def _once(at: int) -> int:
    """One life of a process that is killed before its ``at``-th call. How many it made, 0 if it was killed."""
    told, tell = os.pipe()
    ready, say = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(tell)
            _victim(at, told, say)
        finally:
            os._exit(0)
    os.close(told)
    os.close(say)
    os.read(ready, 1)  # nothing, if it was killed

    said: List[bytes] = []

    def end_victim() -> int:
        """When it has written all, or is dead: how many of its writes were answered."""
        while not b"".join(said).endswith(b"d"):
            said.append(os.read(ready, 20))
            if not said[-1]:
                break
        return b"".join(said).count(b"a")

    try:
        asyncio.run(_client(end_victim))
    finally:
        os.close(tell)
        count = os.read(ready, 20)
        os.close(ready)
        os.waitpid(child, 0)
    return int(count or 0)


def main(mistake: str = "") -> None:
    """Until one lived to its end."""
    plant(mistake)  # the forked processes have it, too
    at, count = 0, 0
    while not count:
        at += 1
        os.environ[files.HOME_VARIABLE] = home = tempfile.mkdtemp(prefix="fk-killed-")
        try:
            count = _once(at)
        except BaseException as error:
            raise AssertionError("killed before call %d: %r" % (at, error)) from error
        finally:
            shutil.rmtree(home)
    print("killed before each of %d calls" % (at - 1))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        talker.PATIENCE_S = 3.0
    main(*sys.argv[1:])
