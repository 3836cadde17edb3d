"""One bad message costs its sender an answer and nobody else anything; and what is committed is never set aside.

The dispatcher is what memory:// and local:// have for a FIFO queue with a trigger.
"""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, List, Optional, Sequence, Tuple, cast

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.apply import apply
from fk_backend.core.model import Error
from fk_backend.core.requests import Call, Create, Open
from fk_backend.core.snapshot import Outcome, Snapshot
from fk_backend.errors import Conflict, Unavailable, Unknown
from fk_backend.functions import writer as writer_module
from fk_backend.functions.heartbeat import Heartbeat
from fk_backend.functions.writer import Writer
from fk_backend.messages import Message, encode, message_id
from fk_backend.ports import Clock, Delivery, Inboxes, Pushed
from fk_backend.providers import dispatch
from fk_backend.providers.dispatch import Dispatcher
from fk_backend.writer import step as step_module

from .doubles import KEY, NS, Bench, FakeInboxes

POISON = "/poison"
TURNS = 4_000


class MoodyInboxes(FakeInboxes):
    """Fails the next pushes with these errors; those marked so, after having pushed."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: List[Tuple[Exception, bool]] = []

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`ports.Inboxes.push`."""
        error, after = self.failures.pop(0) if self.failures else (None, False)
        if error is None or after:
            await super().push(messages)
        if error is not None:
            raise error


class Hall:
    """A dispatcher over a bench."""

    def __init__(self, heartbeat: Any = None) -> None:
        self.bench = Bench()
        self.inboxes = self.bench.inboxes = MoodyInboxes()
        self.bench.writer = self.bench.fresh_writer()
        clock, inboxes = cast(Clock, self.bench.clock), cast(Inboxes, self.inboxes)
        heart = heartbeat or Heartbeat(self.bench.ports())
        self.dispatcher = Dispatcher(self.bench.writer, heart, inboxes, clock)

    def accept(self, message: Message) -> None:
        """As a client sends it."""
        self.dispatcher.accept(NS, message_id(message.inbox, message.first), encode(message, KEY))

    async def until(self, condition: Callable[[], Any]) -> None:
        """Lets everybody do something until it is so."""
        for _ in range(TURNS):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("never")

    async def answered(self, inbox: str, number: int) -> Any:
        """The answer, when it is there."""
        await self.until(lambda: number in self.bench.told(inbox).answers)
        return self.bench.told(inbox).answers[number]

    async def open(self, inbox: str) -> int:
        """A new session; its id."""
        self.accept(Message(inbox, 0, 0, (Open(KEY, 60_000, inbox, None),)))
        return int((await self.answered(inbox, 0))[1][0])


def _in_a_hall(test: Callable[[Hall], Awaitable[None]], heartbeat: Any = None) -> None:
    async def check() -> None:
        hall = Hall(heartbeat)
        try:
            await test(hall)
        finally:
            await hall.dispatcher.stop()

    asyncio.run(check())


def _create(path: str, flags: int = 0) -> Create:
    return Create(path, b"", OPEN_ACL, flags, 0, False)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core has a bug: it fails on one path."""

    def failing(snapshot: Snapshot, calls: Sequence[Call], now_ms: int) -> Outcome:
        if any(getattr(call.request, "path", None) == POISON for call in calls):
            raise ZeroDivisionError("a bug")
        return apply(snapshot, calls, now_ms)

    monkeypatch.setattr(step_module, "apply", failing)


@pytest.mark.usefixtures("poisoned")
def test_poison_is_isolated_and_its_sender_is_told() -> None:
    async def test(hall: Hall) -> None:
        sessions = [await hall.open("client%d" % number) for number in range(5)]
        for number, session in enumerate(sessions):
            hall.accept(Message("client%d" % number, session, 1, (_create(POISON if number == 2 else "/s-", 2),)))
        answers = [await hall.answered("client%d" % number, 1) for number in range(5)]
        assert [code for code, _, _ in answers] == [0, 0, Error.DEAD_LETTERED, 0, 0]
        assert [answers[number][1] for number in (0, 1, 3, 4)] == ["/s-%010d" % count for count in range(4)]
        hall.accept(Message("client2", sessions[2], 2, (_create("/s-", 2),)))
        assert (await hall.answered("client2", 2))[1] == "/s-0000000004"

    _in_a_hall(test)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("commit_size", [1, 3, 500])
def test_a_message_with_poison_in_it_is_set_aside_whole(monkeypatch: pytest.MonkeyPatch, commit_size: int) -> None:
    """However large a commit may be: nothing of it is applied, and every request in it is answered."""
    monkeypatch.setattr(writer_module, "MAX_CALLS", commit_size)

    async def test(hall: Hall) -> None:
        bad, good = await hall.open("bad"), await hall.open("good")
        hall.accept(Message("good", good, 1, (_create("/before"), _create("/s-", 2))))
        hall.accept(Message("bad", bad, 1, (_create("/a"), _create("/b"), _create(POISON), _create("/c"))))
        hall.accept(Message("good", good, 3, (_create("/s-", 2), _create("/after"))))
        assert (await hall.answered("good", 4))[1] == "/after"
        assert [(await hall.answered("bad", number))[0] for number in range(1, 5)] == [Error.DEAD_LETTERED] * 4
        assert (await hall.answered("good", 3))[1] == "/s-0000000002"
        paths = {key.partition for key in await hall.bench.contents()}
        assert not paths & {"ns:/a", "ns:/b", "ns:/c"} and {"ns:/before", "ns:/after"} <= paths

    _in_a_hall(test)


@pytest.mark.usefixtures("poisoned")
def test_that_the_sender_can_not_be_told_now_does_not_lose_it() -> None:
    async def test(hall: Hall) -> None:
        bad, good = await hall.open("bad"), await hall.open("good")
        hall.inboxes.failures = [(Unavailable("later"), False)] * 3
        hall.accept(Message("bad", bad, 1, (_create(POISON),)))
        assert (await hall.answered("bad", 1))[0] == Error.DEAD_LETTERED
        hall.accept(Message("good", good, 1, (_create("/a"),)))
        assert (await hall.answered("good", 1))[0] == Error.OK

    _in_a_hall(test)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Unavailable("later"), ZeroDivisionError("a bug in the way")])
def test_a_failure_after_the_commit_is_never_the_messages_fault(error: Exception, after: bool) -> None:
    """It is tried again until it passes, far more often than poison is."""

    async def test(hall: Hall) -> None:
        session = await hall.open("client")
        hall.inboxes.failures = [(error, after)] * (3 * dispatch.TRIES)
        hall.accept(Message("client", session, 1, (_create("/s-", 2),)))
        hall.accept(Message("client", session, 2, (_create("/s-", 2),)))
        answers = [await hall.answered("client", number) for number in (1, 2)]
        await hall.until(lambda: not hall.inboxes.failures)
        assert [value for _, value, _ in answers] == ["/s-0000000000", "/s-0000000001"]
        assert len([key for key in await hall.bench.contents() if key.sort.startswith("/s-")]) == 2

    _in_a_hall(test)


def test_a_message_sent_twice_is_taken_once() -> None:
    async def test(hall: Hall) -> None:
        session = await hall.open("client")
        for _ in range(3):
            hall.accept(Message("client", session, 1, (_create("/s-", 2),)))
        hall.accept(Message("client", session, 2, (_create("/s-", 2),)))
        assert (await hall.answered("client", 2))[1] == "/s-0000000001"

    _in_a_hall(test)


class Gate:
    """A writer that waits before it returns, and remembers what it was handed."""

    def __init__(self) -> None:
        self.handed: List[List[Delivery]] = []
        self.open = asyncio.Event()

    async def __call__(self, ns: str, batch: Sequence[Delivery]) -> None:
        """As the writer."""
        self.handed.append(list(batch))
        await self.open.wait()


def _at_a_gate(test: Callable[[Dispatcher, Gate], Awaitable[None]]) -> None:
    async def check() -> None:
        gate, bench = Gate(), Bench()
        heart = Heartbeat(bench.ports())
        dispatcher = Dispatcher(cast(Writer, gate), heart, bench.inboxes, cast(Clock, bench.clock))
        await test(dispatcher, gate)
        await dispatcher.stop()

    asyncio.run(check())


async def _turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_is_sent_again_while_the_writer_is_at_it_is_not_handed_over_again() -> None:
    async def test(dispatcher: Dispatcher, gate: Gate) -> None:
        dispatcher.accept(NS, "client-1", b"1")
        await _turns()
        for _ in range(2):
            for number in (1, 2):  # 1 is being handled, 2 waits
                dispatcher.accept(NS, "client-%d" % number, b"%d" % number)
            await _turns()
        assert [[each.body for each in batch] for batch in gate.handed] == [[b"1"]]
        gate.open.set()
        await _turns()
        assert [[each.body for each in batch] for batch in gate.handed] == [[b"1"], [b"2"]]

    _at_a_gate(test)


def test_nothing_is_remembered_of_what_is_done() -> None:
    async def test(dispatcher: Dispatcher, gate: Gate) -> None:
        gate.open.set()
        for _ in range(3):
            dispatcher.accept(NS, "client-1", b"1")
            await _turns()
        assert len(gate.handed) == 3 and not dispatcher._known

    _at_a_gate(test)


def test_what_is_handed_over_is_vouched_for_one_by_one() -> None:
    async def test(dispatcher: Dispatcher, gate: Gate) -> None:
        dispatcher.accept(NS, "a-1", b"a")
        dispatcher.accept(NS, "heartbeat:1-1", b"b", internal=True)
        dispatcher.accept(NS, "c-1", b"c")
        await _turns()
        assert [each.internal for batch in gate.handed for each in batch] == [False, True, False]

    _at_a_gate(test)


def test_namespaces_do_not_wait_for_each_other() -> None:
    async def test(dispatcher: Dispatcher, gate: Gate) -> None:
        dispatcher.accept("one", "a-1", b"1")
        dispatcher.accept("two", "a-2", b"2")
        await _turns()
        assert [[each.body for each in batch] for batch in gate.handed] == [[b"1"], [b"2"]]

    _at_a_gate(test)


def test_a_writer_that_is_not_reached_is_tried_for_as_long_as_it_takes() -> None:
    """And what waits for it keeps its order; only bugs are counted."""

    async def test(hall: Hall) -> None:
        tries: List[int] = []
        writer = hall.bench.writer

        async def unreached(ns: str, batch: Sequence[Delivery]) -> None:
            tries.append(len(batch))
            if len(tries) <= 4 * dispatch.TRIES:
                raise (Unavailable if len(tries) % 2 else Unknown)("later")
            await writer(ns, batch)

        hall.dispatcher._writer = cast(Writer, unreached)
        session = await hall.open("client")
        assert len(tries) == 4 * dispatch.TRIES + 1 and session

    _in_a_hall(test)


def test_a_bug_is_met_so_often_and_no_more() -> None:
    async def test(hall: Hall) -> None:
        tries: List[int] = []

        async def broken(ns: str, batch: Sequence[Delivery]) -> None:
            tries.append(len(batch))
            raise ZeroDivisionError("a bug")

        hall.dispatcher._writer = cast(Writer, broken)
        hall.accept(Message("client", 1, 1, (_create("/a"),)))
        await _turns(200)
        assert tries == [1] * dispatch.TRIES and hall.bench.told("client").answers[1][0] == Error.DEAD_LETTERED

    _in_a_hall(test)


def test_order_is_the_order_of_arrival_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MAX_BATCH", 3)
    monkeypatch.setattr(writer_module, "MAX_CALLS", 2)

    async def test(hall: Hall) -> None:
        session = await hall.open("client")
        for number in range(1, 40):
            hall.accept(Message("client", session, number, (_create("/s-", 2),)))
        answers = [await hall.answered("client", number) for number in range(1, 40)]
        assert [value for _, value, _ in answers] == ["/s-%010d" % number for number in range(39)]

    _in_a_hall(test)


def test_too_much_is_refused_definitely_and_taken_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MAX_WAITING", 2)

    async def test(hall: Hall) -> None:
        session = await hall.open("client")
        for number in (1, 2):
            hall.accept(Message("client", session, number, (_create("/s-", 2),)))
        with pytest.raises(Unavailable):
            hall.accept(Message("client", session, 3, (_create("/s-", 2),)))
        await hall.answered("client", 2)
        hall.accept(Message("client", session, 3, (_create("/s-", 2),)))
        assert (await hall.answered("client", 3))[1] == "/s-0000000002"

    _in_a_hall(test)


def test_a_halted_dispatcher_takes_nothing_and_finishes_nothing_by_halves() -> None:
    async def test(hall: Hall) -> None:
        session = await hall.open("client")
        hall.accept(Message("client", session, 1, (_create("/a"), _create("/b"))))
        await hall.dispatcher.stop()
        with pytest.raises(Unavailable):
            hall.accept(Message("client", session, 3, (_create("/c"),)))
        made = {key.partition for key in await hall.bench.contents()} & {"ns:/a", "ns:/b", "ns:/c"}
        assert made in (set(), {"ns:/a", "ns:/b"})

    _in_a_hall(test)


def test_a_heartbeat_that_fails_once_goes_on() -> None:
    """Whatever it fails with: without it nothing would ever expire again."""
    looks: List[Optional[Exception]] = [Unavailable("later"), ZeroDivisionError("a bug"), ValueError("rubbish"), None]

    async def heartbeat(ns: str) -> bool:
        failure = looks.pop(0) if looks else None
        if failure is not None:
            raise failure
        return True

    async def test(hall: Hall) -> None:
        await hall.open("client")
        await hall.until(lambda: not looks)

    _in_a_hall(test, heartbeat)


def test_who_meets_others_again_and_again_does_not_wait_longer_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who writes all the time beside the queue would keep it from its turn for ever longer."""

    async def test(hall: Hall) -> None:
        pauses: List[float] = []
        writer, sleep = hall.bench.writer, hall.bench.clock.sleep

        async def noted(seconds: float) -> None:
            pauses.append(seconds)
            await sleep(seconds)

        async def late(ns: str, batch: Sequence[Delivery]) -> None:
            if pauses.count(dispatch.RETRY_S) < 10:
                raise Conflict("others were first")
            await writer(ns, batch)

        monkeypatch.setattr(hall.bench.clock, "sleep", noted)
        hall.dispatcher._writer = cast(Writer, late)
        assert await hall.open("client")
        assert set(pauses) <= {dispatch.RETRY_S, dispatch.TICK_S}

    _in_a_hall(test)
