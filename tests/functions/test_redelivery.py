"""A batch that comes again is applied once: whichever call of a port was the last one before a crash.

A crash is put before and after every call that a batch makes, found by counting them. The batch then comes again, to
a writer that knows nothing. What is in the store and what the sessions were told must be what a run without a crash
leaves. Batches are cut into small commits here, so that crashes fall between the commits of one batch; by stores, too,
that take few writes at once, or charge so much for several that the head goes first and the node after it.
"""

from __future__ import annotations

import asyncio
import copy
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fk_backend import codec, layout
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Attach, Check, Close, Create, Delete, Multi, Request, SetData
from fk_backend.functions import writer
from fk_backend.functions.writer import Writer
from fk_backend.messages import Message
from fk_backend.ports import INTEREST, STATE, UNLIMITED, Capabilities, Item, Key, Ports
from fk_backend.providers.memory.store import MemoryStore

from .doubles import NS, PASSWORD, Bench, Crash, Doom, Told, deliveries

INBOXES = ("one", "two", "three")
PATHS = ("/a", "/b", "/a/c", "/a/d")
WATCHED = layout.registration_key(NS, "/a", watches.DATA, "one")


class Plan(NamedTuple):
    """What is there before, and the batch: (inbox, requests) for each message."""

    before: List[Tuple[str, Request]]
    watched: List[Tuple[str, str, str]]
    batch: List[Tuple[str, List[Request]]]
    commit_size: int
    capabilities: Capabilities


paths = st.sampled_from(PATHS)
versions = st.sampled_from((-1, -1, 0, 1))
flags = st.sampled_from((0, 0, 1, 2, 3))
ops = st.one_of(
    st.builds(lambda p, f: Create(p, b"x", OPEN_ACL, f, 0, False), paths, flags),
    st.builds(Delete, paths, versions),
    st.builds(SetData, paths, st.sampled_from((b"", b"yy")), versions),
)
multis = st.builds(lambda o, p, v: Multi((*o, Check(p, v))), st.lists(ops, max_size=2), paths, versions)
requests = st.one_of(*[ops] * 6, multis, st.just(Close()))
plans = st.builds(
    Plan,
    st.lists(st.tuples(st.sampled_from(INBOXES), ops), max_size=5),
    st.lists(
        st.tuples(st.sampled_from(INBOXES), paths, st.sampled_from(sorted(watches.MODES))), max_size=5, unique=True
    ),
    st.lists(st.tuples(st.sampled_from(INBOXES), st.lists(requests, min_size=1, max_size=4)), min_size=1, max_size=5),
    st.sampled_from((1, 2, 3, 500)),
    st.sampled_from(
        (
            UNLIMITED,
            Capabilities(writes=14),
            Capabilities(writes=20, recent_bytes=30),
            Capabilities(transactions_cost_double=True),
        )
    ),
)


class Scene(NamedTuple):
    """A namespace just before the batch, and the batch."""

    bench: Bench
    batch: List[Message]


async def _prepared(plan: Plan) -> Scene:
    bench = Bench(MemoryStore(plan.capabilities))
    sessions = {inbox: await bench.open(inbox) for inbox in INBOXES}
    next_number = dict.fromkeys(INBOXES, 1)
    for inbox, request in plan.before:
        await bench.ask(inbox, sessions[inbox], next_number[inbox], request)
        next_number[inbox] += 1
    for number, (inbox, path, mode) in enumerate(plan.watched, 1):
        await bench.watch(inbox, path, mode, number)
    # The last commit is fanned out again by every new writer: one that concerns nobody.
    await bench.ask("three", sessions["three"], next_number["three"], Create("/quiet", b"", OPEN_ACL, 0, 0, False))
    next_number["three"] += 1
    batch = []
    for inbox, wanted in plan.batch:
        batch.append(Message(inbox, sessions[inbox], next_number[inbox], tuple(wanted)))
        next_number[inbox] += len(wanted)
    return Scene(bench, batch)


class Ending(NamedTuple):
    """What can be compared of a run: not in which commits it came about."""

    contents: Any
    told: Dict[str, Told]
    dropped: List[str]


async def _ending(scene: Scene) -> Ending:
    bench = scene.bench
    told = {inbox: _alike(bench.told(inbox)) for inbox in (*INBOXES, "four")}
    contents = {key: _plain(key, item) for key, item in (await bench.contents()).items()}
    return Ending(contents, told, sorted(set(bench.inboxes.dropped)))


def _alike(told: Told) -> Told:
    """What comes after a session's end in its batch is answered so; if it comes again, the inbox is told once more."""
    expired = [number for number, answer in told.answers.items() if answer[0] == Error.SESSION_EXPIRED]
    answers = {number: answer for number, answer in told.answers.items() if number not in expired}
    over = bool(expired) or any(by_time for _, by_time in told.ended)
    return Told(answers, told.fired, {(0, True)} if over else set())


def _plain(key: Key, item: Item) -> Any:
    if key == layout.head_key(NS):
        return item.rev
    if key.table == STATE and key.sort in (layout.NODE, layout.FAMILY):
        return codec.loads(item.body)[1:]
    return (item.rev if key.table == INTEREST else 0, item.body)


async def _run(writer: Writer, ports: Ports, scene: Scene) -> None:
    writer._ports = ports
    await writer(NS, deliveries(scene.batch))


async def _undisturbed(scene: Scene) -> Tuple[Ending, int]:
    """How it ends without a crash, and how many calls that takes."""
    scene = copy.deepcopy(scene)
    doom = Doom()
    await _run(scene.bench.writer, scene.bench.ports(doom), scene)
    return await _ending(scene), doom.calls


async def _disturbed(scene: Scene, dooms: Sequence[Doom]) -> Ending:
    """How it ends when a writer dies, and as many of the next ones as there are dooms."""
    scene = copy.deepcopy(scene)
    victim = scene.bench.writer  # the first one goes on from what it knows
    for doom in dooms:
        try:
            await _run(victim, scene.bench.ports(doom), scene)
        except Crash:
            victim = scene.bench.fresh_writer()
    await scene.bench.fresh_writer()(NS, deliveries(scene.batch))
    return await _ending(scene)


def _same(ending: Ending, expected: Ending) -> None:
    assert ending.told == expected.told and ending.dropped == expected.dropped
    items = ending.contents.items() ^ expected.contents.items()
    assert not items, sorted(items)


async def _check_every_crash(plan: Plan) -> int:
    scene = await _prepared(plan)
    expected, calls = await _undisturbed(scene)
    for at in range(1, calls + 1):
        for after in (False, True):
            _same(await _disturbed(scene, [Doom(at, after)]), expected)
    return calls


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans)
def test_a_crash_anywhere_changes_nothing_of_the_outcome(plan: Plan) -> None:
    with mock.patch.object(writer, "MAX_CALLS", plan.commit_size):
        assert asyncio.run(_check_every_crash(plan)) > 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans, st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=2, max_size=4))
def test_nor_do_several_crashes_in_a_row(plan: Plan, crashes: List[Tuple[int, bool]]) -> None:
    async def check() -> None:
        scene = await _prepared(plan)
        expected, _ = await _undisturbed(scene)
        _same(await _disturbed(scene, [Doom(at, after) for at, after in crashes]), expected)

    with mock.patch.object(writer, "MAX_CALLS", plan.commit_size):
        asyncio.run(check())


def test_an_attach_and_what_follows_it_survive_every_crash() -> None:
    """The old connection is dropped and its registrations are purged, whenever the writer died."""

    async def check() -> None:
        bench = Bench()
        session = await bench.open("one")
        await bench.watch("one", "/a", watches.DATA, 1)
        batch = [
            Message("one", session, 1, (Create("/e", b"", OPEN_ACL, 1, 0, False),)),
            Message("four", 0, 0, (Attach(session, PASSWORD, "four", None),)),
            Message("one", session, 2, (Create("/a", b"", OPEN_ACL, 1, 0, False),)),
            Message("four", session, 1, (Create("/b", b"", OPEN_ACL, 1, 0, False),)),
        ]
        scene = Scene(bench, batch)
        expected, calls = await _undisturbed(scene)
        assert expected.told["one"].answers[2][0] == Error.SESSION_MOVED
        assert expected.told["four"].answers[1][0] == Error.OK
        assert expected.dropped == ["one"] and not await scene.bench.registered() ^ {(WATCHED, 1)}
        for at in range(1, calls + 1):
            _same(await _disturbed(scene, [Doom(at), Doom(at, after=True)]), expected)

    asyncio.run(check())


def test_a_failure_is_not_judged_again_by_what_the_rest_of_its_batch_did() -> None:
    """The batch comes again after its second commit: what was refused before the first must stay refused."""

    async def check() -> None:
        bench = Bench()
        one, two = await bench.open("one"), await bench.open("two")
        batch = [
            Message("one", one, 1, (SetData("/a", b"late", -1),)),
            Message("two", two, 1, (Create("/a", b"first", OPEN_ACL, 0, 0, False),)),
        ]
        scene = Scene(bench, batch)
        expected, calls = await _undisturbed(scene)
        assert expected.told["one"].answers[1][0] == Error.NO_NODE
        for at in range(1, calls + 1):
            _same(await _disturbed(scene, [Doom(at, after=True)]), expected)

    with mock.patch.object(writer, "MAX_CALLS", 1):
        asyncio.run(check())


def test_the_head_of_a_long_batch_stays_small() -> None:
    """That earlier commits of the batch are done is remembered by a number for each connection, not by answers."""

    async def check() -> None:
        bench = Bench()
        one, two = await bench.open("one"), await bench.open("two")
        create = Create("/s-", b"", OPEN_ACL, 2, 0, False)
        await bench.write(Message("one", one, 1, (create,) * 40), Message("two", two, 1, (create,) * 40))
        answers = (await bench.head()).answers
        assert sum(len(results) for _, _, results in answers) <= 40

    with mock.patch.object(writer, "MAX_CALLS", 40):
        asyncio.run(check())
