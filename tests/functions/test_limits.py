"""A store that takes little at once gets several commits; one that charges for several at once gets a promise first."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.apply import apply
from fk_backend.core.model import Error
from fk_backend.core.requests import Close, Create, Delete, Expire, Multi, SetData
from fk_backend.errors import Conflict
from fk_backend.messages import Message
from fk_backend.ports import SESSIONS, Capabilities, Put
from fk_backend.providers.aws.store import DynamoStore
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.writer import step

from .doubles import NS, Bench, Crash, Doom, deliveries

DEAR = Capabilities(transactions_cost_double=True)


class Counting(MemoryStore):
    """Keeps what was committed."""

    def __init__(self, limits: Capabilities) -> None:
        super().__init__(limits)
        self.commits: List[List[Any]] = []

    async def commit(self, writes: Any) -> None:
        await super().commit(writes)
        self.commits.append(list(writes))


def _create(path: str, flags: int = 0) -> Create:
    return Create(path, b"", OPEN_ACL, flags, 0, False)


def test_a_batch_is_cut_into_what_the_store_takes() -> None:
    async def check() -> None:
        bench = Bench(Counting(Capabilities(writes=20)))
        session = await bench.open("one")
        results = await bench.ask("one", session, 1, *(_create("/n%02d" % number) for number in range(50)))
        assert [result[0] for result in results] == [Error.OK] * 50
        assert [result[2] for result in results] == list(range(2, 52)), "consecutive zxids, in order"
        assert max(map(len, bench.store.commits)) <= 20 and len(bench.store.commits) < 20

    asyncio.run(check())


def test_what_has_not_fitted_is_not_worked_out_for_each_commit_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty transactions that fill a commit each: a copy to AWS sends them so."""
    worked_out: List[int] = []

    def counted(snapshot: Any, calls: Any, now_ms: int) -> Any:
        worked_out.append(len(calls))
        return apply(snapshot, calls, now_ms)

    monkeypatch.setattr(step, "apply", counted)

    async def check() -> None:
        bench = Bench(Counting(Capabilities(writes=20)))
        session = await bench.open("one")
        worked_out.clear()
        multis = [Multi(tuple(_create("/m%02d-%d" % (number, n)) for n in range(9))) for number in range(40)]
        results = await bench.ask("one", session, 1, *multis)
        assert [result[0] for result in results] == [Error.OK] * 40
        assert sum(worked_out) < 4 * 40 + 2 * 40, "a constant for each commit, and not all that is left"

    asyncio.run(check())


def test_a_multi_that_can_not_fit_is_refused_and_nothing_of_it_happens() -> None:
    async def check() -> None:
        bench = Bench(Counting(Capabilities(writes=20)))
        session = await bench.open("one")
        before = await bench.contents()
        many = Multi(tuple(_create("/n%02d" % number) for number in range(50)))
        few = Multi(tuple(_create("/n%02d" % number) for number in range(5)))
        ((refused, _, _),) = await bench.ask("one", session, 1, many)
        assert refused == Error.TRANSACTION_TOO_LARGE and await bench.contents() == before
        (first, second) = await bench.ask("one", session, 2, many, few)
        assert first[0] == Error.TRANSACTION_TOO_LARGE and second[0] == Error.OK

    asyncio.run(check())


def test_an_item_that_can_not_fit_is_refused() -> None:
    async def check() -> None:
        bench = Bench(MemoryStore(Capabilities(item_bytes=1000)))
        session = await bench.open("one")
        big, small = SetData("/a", bytes(1000), -1), SetData("/a", bytes(100), -1)
        results = await bench.ask("one", session, 1, _create("/a"), big)
        assert [result[0] for result in results] == [Error.OK, Error.TOO_LARGE]
        assert (await bench.ask("one", session, 3, small))[0][0] == Error.OK

    asyncio.run(check())


@pytest.mark.parametrize("limits", [Capabilities(partition_bytes=20), Capabilities(sort_bytes=20)])
def test_a_key_that_can_not_be_is_refused(limits: Capabilities) -> None:
    async def check() -> None:
        bench = Bench(MemoryStore(limits._replace(writes=20)))
        session = await bench.open("one")
        results = await bench.ask("one", session, 1, _create("/" + 25 * "a"), _create("/" + 10 * "ä"), _create("/a"))
        assert [result[0] for result in results] == [Error.PATH_TOO_LONG, Error.PATH_TOO_LONG, Error.OK]

    asyncio.run(check())


@pytest.mark.parametrize("expired", [False, True])
def test_a_session_with_many_ephemerals_ends_at_once_and_they_go_one_by_one(expired: bool) -> None:
    """Under consecutive zxids, before anything else happens, whichever crash comes in between."""

    async def scene() -> Any:
        bench = Bench(Counting(Capabilities(writes=30)))
        session = await bench.open("one")
        other = await bench.open("two")
        await bench.ask("one", session, 1, *(_create("/e%02d" % number, 1) for number in range(23)))
        await bench.ask("two", other, 1, _create("/e23", 1))
        both = Message("heartbeat:x", 0, 1, (Expire(session, 0), Expire(other, 0)))
        end = both if expired else Message("one", session, 24, (Close(),))
        return bench, session, [end, Message("one", session, 25, (_create("/late"),))]

    async def check() -> None:
        bench, session, batch = await scene()
        calls = Doom()
        trial = copy.deepcopy(bench)
        await trial.fresh_writer(calls)(NS, deliveries(batch, True))
        for at in range(1, calls.calls + 1):
            for after in (False, True):
                crashed = copy.deepcopy(bench)
                start = (await crashed.head()).zxid
                try:
                    await crashed.fresh_writer(Doom(at, after))(NS, deliveries(batch, True))
                except Crash:
                    await crashed.fresh_writer()(NS, deliveries(batch, True))
                left = [key for key in await crashed.contents() if "/e" in key.partition or "/e" in key.sort]
                assert not [key for key in left if expired or "/e23" not in (*key.partition.split(":"), key.sort)]
                assert bool(left) != expired
                assert bool(crashed.told("two").ended) == expired
                assert not await crashed.store.scan(SESSIONS, layout.ephemerals_partition(NS, session))
                head = await crashed.head()
                assert head.closing == () and head.zxid > start + 1
                assert crashed.told("one").answers[25][0] == Error.SESSION_EXPIRED

    asyncio.run(check())


# --- the head first, the node after it ------------------------------------------------------------


async def _reserved() -> Any:
    """A bench whose writer knows /a, and the message that will change it."""
    bench = Bench(Counting(DEAR))
    session = await bench.open("one")
    await bench.ask("one", session, 1, _create("/a"), _create("/b"))
    bench.store.commits.clear()
    return bench, Message("one", session, 3, (SetData("/a", b"new", -1),))


async def _data(bench: Bench, path: str) -> Any:
    (item,) = await bench.store.get([layout.node_keys(NS, path)[0]])
    return layout.node_of(item).data


async def _crashed_in_between(bench: Bench, message: Message) -> Any:
    """After the promise and before the node. The writer that was killed."""
    writer, ports = bench.writer, bench.ports()

    class Dying:
        limits = DEAR

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.store, name)

        async def commit(self, writes: Any) -> None:
            if bench.store.commits:
                raise Crash
            await bench.store.commit(writes)

    writer._ports = ports._replace(store=Dying())  # type: ignore[arg-type]
    with pytest.raises(Crash):
        await writer(NS, deliveries([message]))
    promise = (await bench.head()).reserved
    assert promise is not None and await _data(bench, promise.path) == b""
    return writer


def test_one_change_of_data_costs_two_single_writes() -> None:
    async def check() -> None:
        bench, message = await _reserved()
        await bench.write(message)
        assert [len(commit) for commit in bench.store.commits] == [1, 1]
        assert await _data(bench, "/a") == b"new" and bench.told("one").answers[3][0] == Error.OK
        head = await bench.head()
        assert head.settled == head.zxid - 1, "a reader can't know whether it was kept"
        await bench.ask("one", message.session, 4, SetData("/b", b"x", -1), SetData("/a", b"y", -1))
        assert [len(commit) for commit in bench.store.commits] == [1, 1, 3]
        assert (await bench.head()).settled == head.zxid + 2

    asyncio.run(check())


def test_a_promise_is_kept_when_its_message_comes_again() -> None:
    async def check() -> None:
        bench, message = await _reserved()
        zombie = await _crashed_in_between(bench, message)
        zxid = (await bench.head()).zxid
        assert 3 not in bench.told("one").answers
        await bench.fresh_writer()(NS, deliveries([message]))
        assert await _data(bench, "/a") == b"new" and bench.told("one").answers[3][2] == zxid
        await bench.fresh_writer()(NS, deliveries([message]))
        assert (await bench.head()).zxid == zxid, "and only once"
        del zombie

    asyncio.run(check())


def test_a_promise_is_void_when_its_message_never_comes_again() -> None:
    """It was set aside. Nobody was told, and a writer that wakes up late can't keep it any more."""

    async def check() -> None:
        bench, message = await _reserved()
        reserved = (await bench.head()).zxid + 1
        await _crashed_in_between(bench, message)
        promise = (await bench.head()).reserved
        late = layout.node_item(promise.node._replace(data=b"new"), reserved, promise.family_rev)
        other = Message("one", message.session, 4, (SetData("/b", b"x", -1),))
        await bench.fresh_writer()(NS, deliveries([other]))
        told = bench.told("one").answers
        assert 3 not in told and told[4][0] == Error.OK and await _data(bench, "/a") == b""
        with pytest.raises(Conflict):
            key = layout.node_keys(NS, "/a")[0]
            await bench.store.commit([Put(key, late, expect=promise.rev)])
        head = await bench.head()
        assert not [trigger for trigger in head.triggers if trigger.zxid == reserved]

    asyncio.run(check())


def test_a_promise_names_no_family_where_there_never_was_one() -> None:
    """Of a node that every namespace begins with, by the writer that began it: kept later, it must not read as torn."""

    async def check() -> None:
        bench = Bench(Counting(DEAR))
        session = await bench.open("one")
        bench.store.commits.clear()
        message = Message("one", session, 1, (SetData("/zookeeper/quota", b"new", -1),))
        await _crashed_in_between(bench, message)
        await bench.fresh_writer()(NS, deliveries([message]))
        items = await bench.store.get(layout.node_keys(NS, "/zookeeper/quota"))
        assert layout.node_of(items[0]).data == b"new" and not layout.torn(items)

    asyncio.run(check())


def test_what_does_not_fit_is_refused_by_a_writer_that_knows_the_tree_as_it_is() -> None:
    """One that was overtaken would refuse what fails, by now, for another reason."""

    async def check() -> None:
        bench = Bench(Counting(Capabilities(writes=20)))
        session = await bench.open("one")
        await bench.ask("one", session, 1, _create("/a"))
        await bench.fresh_writer()(NS, deliveries([Message("one", session, 2, (Delete("/a", -1),))]))
        too_much = Multi((SetData("/a", b"new", -1), *(_create("/m%d" % n) for n in range(50))))
        ((_, results, _),) = await bench.ask("one", session, 3, too_much)
        assert results[0][0] == Error.NO_NODE

    asyncio.run(check())


# --- what aws:// takes, as docs/aws.md says it ----------------------------------------------------

AWS = Path(__file__).parents[2] / "docs" / "aws.md"
LIMITS = {
    "creates under one parent": 49,
    "ephemerals under one parent": 32,
    "creates under a parent each": 33,
    "deletes": 49,
    "sets": 99,
}
PATHS = {"bytes with its namespace": 2048, "ephemerals, containers and TTL nodes": 1024, "a name": 1023}


_FULL = [_create("/full"), *(_create("%s%d" % (at, n)) for at in ("/p", "/full/n") for n in range(100))]


def _multi(kind: str, count: int) -> Multi:
    if kind == "sets":
        return Multi(tuple(SetData("/p%d" % number, b"x", -1) for number in range(count)))
    if kind == "deletes":
        return Multi(tuple(Delete("/full/n%d" % number, -1) for number in range(count)))
    parents = ["/p%d" % number if "each" in kind else "/p0" for number in range(count)]
    flags = 1 if kind.startswith("ephemerals") else 0
    return Multi(tuple(_create("%s/n%d" % (parent, number), flags) for number, parent in enumerate(parents)))


def _bisected(passes: Callable[[int], int], high: int) -> Tuple[int, int]:
    """The most that passes, and the error of one more. ``high`` does not pass."""
    low = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) == Error.OK else (low, middle)
    return low, passes(high)


async def _on_aws(requests: Callable[[], List[Any]]) -> int:
    """What the last of the requests is answered on a store that takes what DynamoDB takes; none is half done."""
    bench = Bench(MemoryStore(DynamoStore.capabilities))
    session = await bench.open("one")
    *others, last = requests()
    if others:
        await bench.ask("one", session, 1, *others)
    before = await bench.contents()
    ((code, _, _),) = await bench.ask("one", session, 1 + len(others), last)
    assert code == Error.OK or await bench.contents() == before
    return code


@pytest.mark.parametrize("kind", LIMITS)
def test_a_transaction_takes_what_the_page_says(kind: str) -> None:
    most, error = _bisected(lambda count: asyncio.run(_on_aws(lambda: [*_FULL, _multi(kind, count)])), 101)
    assert (most, error) == (LIMITS[kind], Error.TRANSACTION_TOO_LARGE)
    assert "%d %s" % (most, kind) in AWS.read_text("utf-8")


@pytest.mark.parametrize("kind", PATHS)
def test_a_path_is_as_long_as_the_page_says(kind: str) -> None:
    """In bytes of UTF-8."""

    def requests(size: int) -> List[Any]:
        if kind == "a name":
            return [_create("/" + "x" * size)]
        flags = 1 if kind.startswith("ephemerals") else 0
        size -= 0 if flags else len(NS) + 1
        whole = ("/" + "é" * 250) * 10
        cut = whole.encode()[: max(size, 2)].decode("utf-8", "ignore").rstrip("/")
        name = "/" + cut.rsplit("/", 1)[1] + "y" * (size - len(cut.encode()))
        parents = [whole[: 251 * (n + 1)] for n in range(cut.count("/") - 1)]
        return [*map(_create, parents), _create("".join([*parents[-1:], name]), flags)]

    most, error = _bisected(lambda size: asyncio.run(_on_aws(lambda: requests(size))), 4096)
    assert (most, error) == (PATHS[kind], Error.PATH_TOO_LONG)
    assert format(most, ",") in AWS.read_text("utf-8")
