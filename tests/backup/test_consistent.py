"""A backup that is taken while clients write shows one zxid, and restores to what the tree was then.

Rule upheld here: after every commit of the writer the whole tree is noted. Whatever zxid a backup says that it is of,
what is restored from it has to be that tree, to the last field.
"""

from __future__ import annotations

import asyncio
import io
import random
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import pytest

from fk_backend import layout
from fk_backend.backup.archive import Archive
from fk_backend.backup.restore import Restored, restore
from fk_backend.backup.take import take
from fk_backend.core import owners, paths
from fk_backend.core.acls import OPEN_ACL, READ_ACL
from fk_backend.core.model import Error, Family, Node
from fk_backend.core.requests import Close, Create, Delete, Flags, Multi, Request, SetAcl, SetData
from fk_backend.errors import DeploymentError
from fk_backend.ports import INTEREST, SESSIONS, STATE, AdminPorts, Capabilities, Ports
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.writer import journal
from tests.functions.doubles import NS, Bench

Tree = Dict[str, Tuple[Node, Family]]

CLOUD = Capabilities(writes=100, commit_bytes=3_900_000, item_bytes=400_000, transactions_cost_double=True)
"""As a store that has them: commits of one node go in two steps."""
NAMES = ("/a", "/b", "/c", "/a/x", "/a/y", "/b/x", "/b/y", "/a/x/deep")


def administration(bench: Bench, store: Any) -> AdminPorts:
    """Over a store, with the bench's clock."""

    async def namespaces() -> List[str]:
        found = [key.partition[:-1] for key, _ in await store.scan(STATE, limit=1 << 30) if key.sort == "head"]
        return sorted(found)

    async def close() -> None:
        pass

    return AdminPorts(Ports(store, bench.inboxes, bench.queue, bench.clock), namespaces, close)


async def tree_of(store: MemoryStore) -> Tree:
    """Every node there is; the lists of children have to say the same."""
    items = dict(await store.scan(STATE, limit=1 << 30))
    tree: Tree = {}
    for key in items:
        if key.sort == layout.NODE:
            path = key.partition[len(NS) + 1 :]
            pair = layout.pair_of([items.get(one) for one in layout.node_keys(NS, path)])
            assert pair is not None
            tree[path] = pair
    listed = {(key.partition, key.sort) for key in items if key.sort.startswith(layout.CHILDREN)}
    assert listed == {tuple(layout.child_key(NS, path)[1:]) for path in tree if path != "/"}
    return tree


class Busy(NamedTuple):
    """Clients that write, the tree after each commit by its zxid, and chance."""

    bench: Bench
    history: Dict[int, Tree]
    chance: random.Random
    sessions: Dict[str, List[int]]
    turn: asyncio.Lock

    async def step(self) -> None:
        """One more request. The queue hands the writer one batch at a time."""
        async with self.turn:
            await self.ask(self.request())

    async def ask(self, request: Request) -> None:
        """Asks for it, in any session."""
        inbox = self.chance.choice(sorted(self.sessions))
        session, number = self.sessions[inbox]
        self.sessions[inbox][1] += 1
        await self.bench.ask(inbox, session, number, request)
        if isinstance(request, Close):
            del self.sessions[inbox]
            await self.open(inbox + "-")
        await self.note()

    async def open(self, inbox: str) -> None:
        """A session more."""
        self.sessions[inbox] = [await self.bench.open(inbox), 1]
        await self.note()

    async def note(self) -> None:
        """The tree as it is."""
        self.history[(await self.bench.head()).zxid] = await tree_of(self.bench.store)

    def request(self) -> Request:
        """Any."""
        path, other = self.chance.choice(NAMES), self.chance.choice(NAMES)
        flags = self.chance.choice((Flags.PERSISTENT, Flags.PERSISTENT, Flags.EPHEMERAL, Flags.CONTAINER, Flags.TTL))
        create = Create(path, b"%d" % self.chance.randrange(1000), OPEN_ACL, flags, 1000 * (flags == Flags.TTL), False)
        again = Create(path, b"again", OPEN_ACL, Flags.PERSISTENT, 0, False)
        data = b"%d" % self.chance.randrange(1000)
        return self.chance.choice(
            (
                create,
                create,
                SetData(path, data, -1),
                SetData(path, data, -1),
                Delete(path, -1),
                SetAcl(path, self.chance.choice((OPEN_ACL, READ_ACL)), -1),
                Multi((Delete(path, -1), again)),
                Multi((SetData(path, data, -1), SetData(other, data, -1))) if other != path else create,
                Create(path + "-", b"", OPEN_ACL, Flags.EPHEMERAL_SEQUENTIAL, 0, False),
                Close(),
            )
        )


class Interleaved:
    """A store in which somebody writes whenever it is asked for something."""

    def __init__(self, busy: Busy, steps: int) -> None:
        self._busy = busy
        self._left = steps
        self.capabilities = busy.bench.store.capabilities

    def __getattr__(self, name: str) -> Any:
        async def method(*args: Any, **kwargs: Any) -> Any:
            for _ in range(self._busy.chance.randrange(4)):
                if self._left:
                    self._left -= 1
                    await self._busy.step()
            return await getattr(self._busy.bench.store, name)(*args, **kwargs)

        return method


async def busy_bench(seed: int, limits: Capabilities = CLOUD) -> Busy:
    """With three sessions and some nodes."""
    busy = Busy(Bench(MemoryStore(limits)), {}, random.Random(seed), {}, asyncio.Lock())
    for inbox in ("one", "two", "three"):
        await busy.open(inbox)
    for path in NAMES:
        await busy.ask(Create(path, b"first", OPEN_ACL, Flags.PERSISTENT, 0, False))
    return busy


def after_its_sessions(tree: Tree, zxid: int) -> Tree:
    """What is left of a tree when all sessions have ended at a zxid."""
    found = {path: pair for path, pair in tree.items() if not owners.is_ephemeral(pair[0].owner)}
    for path in tree.keys() - found.keys():
        above = paths.parent(path)
        node, family = found[above]
        found[above] = node, Family(family.creates, zxid, family.count - 1)
    return found


async def backed_up(place: AdminPorts) -> io.BytesIO:
    """A backup."""
    file = io.BytesIO()
    await take(place, Archive(file), "memory://test")
    return file


async def restored(bench: Bench, file: io.BytesIO, store: Optional[MemoryStore] = None) -> Tuple[MemoryStore, Restored]:
    """A new deployment of it."""
    store = store or MemoryStore(CLOUD)
    (found,) = await restore(administration(bench, store), file)
    return store, found


@pytest.mark.parametrize("seed", range(40))
def test_what_is_restored_is_the_tree_of_one_zxid(seed: int) -> None:
    async def check() -> None:
        busy = await busy_bench(seed)
        begun = max(busy.history)
        file = await backed_up(administration(busy.bench, Interleaved(busy, 60)))
        store, found = await restored(busy.bench, file)
        assert found.was > begun and found.zxid > max(busy.history)
        assert found.was in busy.history or found.was - 1 in busy.history, "a commit of the backup itself is in between"
        tree = busy.history.get(found.was, busy.history.get(found.was - 1, {}))
        assert await tree_of(store) == after_its_sessions(tree, found.zxid)
        await nothing_is_left(busy.bench.store)

    asyncio.run(check())


async def nothing_is_left(store: MemoryStore) -> None:
    """Of a backup, in the deployment that it is of."""
    assert await store.get([layout.journal_key(NS)]) == [None]
    journals = layout.entry_key(NS, 0).partition
    assert [key for key, _ in await store.scan(SESSIONS, limit=1 << 30) if key.partition == journals] == []


def test_nothing_but_nodes_comes_along() -> None:
    """Those to be looked after are listed; the new head has no numbers of a queue, and tells nobody anything."""

    async def check() -> None:
        busy = await busy_bench(1)
        await busy.bench.watch("one", "/a", "d", 1)
        await busy.ask(Create("/keep", b"", OPEN_ACL, Flags.CONTAINER, 0, False))
        file = await backed_up(administration(busy.bench, busy.bench.store))
        store, found = await restored(busy.bench, file)
        reapable = [(key.partition, key.sort) for key, _ in await store.scan(SESSIONS, limit=1 << 30)]
        assert reapable == [(layout.reapable_partition(NS), "/keep")]
        assert await store.scan(INTEREST) == []
        (item,) = await store.get([layout.head_key(NS)])
        assert item is not None
        head, was = layout.head_of(item), await busy.bench.head()
        assert head == layout.Head(found.zxid, was.namespace_id, found.zxid, found.zxid, (), (), ticking=found.zxid)

    asyncio.run(check())


def test_a_restored_namespace_goes_on() -> None:
    """Clients write in it, under greater zxids; sequences go on where they were."""

    async def check() -> None:
        busy = await busy_bench(2)
        sequential = Create("/c/n-", b"", OPEN_ACL, Flags.SEQUENTIAL, 0, False)
        for _ in range(3):
            await busy.ask(sequential)
        file = await backed_up(administration(busy.bench, busy.bench.store))
        store, found = await restored(busy.bench, file)
        bench = Bench(store)
        session = await bench.open("new")
        (created, changed) = await bench.ask("new", session, 1, sequential, SetData("/a", b"", -1))
        assert created[:2] == [Error.OK, "/c/n-0000000003"] and created[2] > found.zxid
        assert changed[0] == Error.OK

    asyncio.run(check())


def test_a_backup_while_another_one_is_taken_is_refused() -> None:
    """And one that was killed stands in the way for five minutes only; then its remains go with the next one's."""

    async def check() -> None:
        busy = await busy_bench(3)
        place = administration(busy.bench, busy.bench.store)
        await journal.begin(place.ports, NS)
        await busy.step()
        with pytest.raises(DeploymentError, match="another backup"):
            await backed_up(place)
        busy.bench.clock.now_s += journal.KEPT_FOR_MS / 1000
        await backed_up(place)
        await nothing_is_left(busy.bench.store)

    asyncio.run(check())


def test_a_writer_that_does_not_say_what_it_wrote_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a version before. Nothing is left of the backup either."""

    async def check() -> None:
        busy = await busy_bench(4)
        monkeypatch.setattr("fk_backend.writer.step.noted", lambda ports, ns, cache, writes: writes)
        with pytest.raises(DeploymentError, match="older version"):
            await backed_up(administration(busy.bench, Interleaved(busy, 60)))
        await nothing_is_left(busy.bench.store)

    asyncio.run(check())


def test_a_commit_that_has_no_room_for_it_says_nothing_and_is_noticed() -> None:
    async def check() -> None:
        busy = await busy_bench(5)
        place = administration(busy.bench, busy.bench.store)
        begun = await journal.begin(place.ports, NS)
        assert begun is not None
        await busy.ask(Multi((SetData("/a", b"", -1), SetData("/b", b"", -1))))
        assert list(await journal.since(place.ports, NS, begun)) == [begun + 1]
        many = tuple(Create("/many%d" % n, b"", OPEN_ACL, Flags.PERSISTENT, 0, False) for n in range(49))
        await busy.ask(Multi(many))
        assert (await busy.bench.head()).zxid == begun + 2, "that are 100 items, with the head and the root's family"
        await busy.ask(SetData("/a", b"", -1))
        with pytest.raises(journal.Gap):
            await journal.since(place.ports, NS, begun)

    asyncio.run(check())


def test_a_long_backup_asks_again_in_time() -> None:
    async def check() -> None:
        busy = await busy_bench(6)
        place = administration(busy.bench, busy.bench.store)
        begun = await journal.begin(place.ports, NS)
        assert begun is not None
        for _ in range(5):
            busy.bench.clock.now_s += journal.KEPT_FOR_MS / 1000 * 0.6
            await journal.go_on(place.ports, NS)
            await busy.ask(SetData("/a", b"", -1))
        written = await journal.since(place.ports, NS, begun)
        assert [found for found in written.values() if found] == [["/a"]] * 5

    asyncio.run(check())
