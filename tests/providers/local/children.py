"""What the other processes of these tests do: ``python -m tests.providers.local.children NAME ARGUMENT...``.

They talk in lines: what they print has happened, and what they are to wait for comes in.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import time
from typing import Any, Callable, Dict

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.requests import Create, Delete, Multi, SetData
from fk_backend.errors import BackendError
from fk_backend.ports import INTEREST, SESSIONS, STATE, Item, Key, Put
from fk_backend.providers import local
from fk_backend.providers.local import files, progress
from fk_backend.providers.local.combining import Records
from fk_backend.providers.local.shared_memory import SharedMemory
from fk_backend.providers.local.store import LocalStore
from fk_kazoo.client import KazooClient
from tests.providers.local.mistakes import plant
from tests.providers.local.talker import Talker

HEAD = Key(STATE, "ns:", "head")
COUNTER = Key(INTEREST, "ns:beats", "all")
BODY = b"x" * 20_000


def say(text: object) -> None:
    """At once, and whole."""
    os.write(1, ("%s\n" % text).encode())


def numbered(table: str, n: int) -> Key:
    """The key of the nth item."""
    return Key(table, "ns:%d" % (n % 10), "/%06d" % n)


def look(name: str) -> None:
    """Opens and closes."""
    LocalStore(files.prepare(name), writable_state=False).close()


async def echo(name: str) -> None:
    """Commits to STATE every number it is told, and answers with what INTEREST counts by then."""
    store = LocalStore(files.prepare(name), writable_state=True)
    for line in sys.stdin:
        await store.commit([Put(HEAD, Item(int(line), line.encode()))])
        (item,) = await store.get([COUNTER])
        say(item.rev if item else 0)
    store.close()


async def twins(name: str) -> None:
    """Keeps two items of different partitions equal, until it is told to stop."""
    store = LocalStore(files.prepare(name), writable_state=True)
    stopped = asyncio.get_event_loop().run_in_executor(None, sys.stdin.readline)
    rev = 0
    while not stopped.done():
        rev += 1
        other = Put(Key(STATE, "ns:other", "head"), Item(rev, b"x" * (rev % 5000)))
        await store.commit([Put(HEAD, Item(rev, b"")), other])
        if rev == 1:
            say("begun")
        await asyncio.sleep(0)
    store.close()


async def count(name: str, who: str, times: str) -> None:
    """Writes to INTEREST as a client does: an item and the common counter each time."""
    store = LocalStore(files.prepare(name), writable_state=False)
    say("ready")
    sys.stdin.readline()
    for n in range(int(times)):
        await store.commit([Put(Key(INTEREST, "ns:/a", "%s-%d" % (who, n)), Item(n, b""), expect=0, owner=who)])
        await store.increment(COUNTER)
    store.close()


async def pour(name: str, first: str) -> None:
    """Commits numbered items for ever, and says each number once both commits have returned."""
    store = LocalStore(files.prepare(name), writable_state=True)
    n = int(first)
    while True:
        body = b"%d" % n * (n % 3000)
        await store.commit(
            [
                Put(HEAD, Item(n, b""), expect=n - 1),
                Put(numbered(STATE, n), Item(n, body), expect=0),
                Put(numbered(SESSIONS, n), Item(n, b"")),
            ]
        )
        await store.commit([Put(numbered(INTEREST, n), Item(n, b""), owner="o")])
        say(n)
        n += 1


async def fill(name: str, table: str, how: str) -> None:
    """Commits until it can't, says why and how far it got; then gets room, and goes on with the same store."""
    place = files.prepare(name)
    store = LocalStore(place, writable_state=True)
    await store.commit([Put(numbered(table, 0), Item(1, BODY))])
    if how == "limit":
        limit = os.path.getsize((place.state if table == STATE else place.interest) + "-wal") + 200_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    n = 0
    try:
        while True:
            n += 1
            await store.commit([Put(numbered(table, 0), Item(n + 1, BODY)), Put(numbered(table, n), Item(n, BODY))])
    except BackendError as error:
        say("%s %d" % (type(error).__name__, n - 1))
    (item,) = await store.get([numbered(table, 0)])
    say(item.rev if item else None)
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        sys.stdin.readline()
    await store.commit([Put(numbered(table, n), Item(n, b"after"))])
    say("went on")
    store.close()


def orphan(name: str, abandons: str) -> None:
    """Commits, forks, and is killed; the child ends after that, as Python programs end."""
    store = LocalStore(files.prepare(name), writable_state=True)
    asyncio.run(store.commit([Put(HEAD, Item(1, b"body"))]))
    asyncio.run(store.commit([Put(COUNTER, Item(1, b""))]))
    say("committed")
    inside, outside = os.pipe()
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(outside)
    os.read(inside, 1)  # returns when the parent is gone
    if abandons:
        store.abandon()
    say("ends")


async def serve(name: str, mistake: str = "") -> None:
    """Has it open, until it is told to end."""
    plant(mistake)
    gateway: Any = await local.connect(name, {})
    await gateway.check()
    say("serves")
    told = asyncio.Event()
    asyncio.get_event_loop().add_reader(0, told.set)  # no thread: the calls of this process are in one order
    await told.wait()
    await gateway.close()
    say("ended")


async def writes(name: str, times: str, mistake: str = "") -> None:
    """Writes so often, by its queue, and says the number of each one when it is answered."""
    plant(mistake)
    gateway: Any = await local.connect(name, {})
    talker = Talker(gateway, "inbox-0")
    await talker.open()
    say("opened")
    for number in range(int(times)):
        path = "/n%d" % (number // 4)
        create = Create(path, b"x" * 3000, OPEN_ACL, 0, 0, False)
        request: Any = (create, SetData(path, b"y", -1), Multi((Delete(path, -1), create)), Delete(path, -1))
        ((code, _, _),) = await talker.ask(request[number % 4])
        assert code == 0
        say(number)
    await gateway.close()


def published(name: str) -> None:
    """Publishes something, and says which record that is in. Never ends."""
    place = files.prepare(name)
    records = Records(SharedMemory(place, progress.shared_words(place)[0]))
    assert records.publish(b"something")
    say(records._mine)
    sys.stdin.read()


def sets(name: str, times: str) -> None:
    """Sets a node so often, and says 0; and then how often everybody has, when nobody does any more.

    Who does it no time is there first and last.
    """
    client = KazooClient("local://" + name, timeout=60)
    client.start(60)
    client.ensure_path("/node")
    for _ in range(int(times)):
        client.set("/node", b"")
    say(0)
    if times == "0":
        sys.stdin.read()
    while True:
        stat = client.get("/node")[1]
        if stat.version == 4 * int(times):
            break
        time.sleep(0.001)
    say(stat.version)
    client.stop()


MAIN: Dict[str, Callable[..., Any]] = {
    "look": look,
    "echo": echo,
    "twins": twins,
    "count": count,
    "pour": pour,
    "fill": fill,
    "orphan": orphan,
    "serve": serve,
    "writes": writes,
    "published": published,
    "sets": sets,
}

if __name__ == "__main__":
    started = MAIN[sys.argv[1]](*sys.argv[2:])
    if started is not None:
        asyncio.run(started)
