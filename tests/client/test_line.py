"""Between the loop's thread and kazoo's: what is told comes in the order in which it was told, whoever hands it over.

Without threads: every interleaving of what the one does with what the other does is played, step by step.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import pytest
from kazoo.exceptions import ConnectionDropped, SessionExpiredError

from fk_backend.core.requests import Result
from fk_backend.session.engine import EXPIRED, LOST
from fk_backend.session.watchlist import Event
from fk_kazoo import connection, loop, wire
from fk_kazoo.connection import WATCH_XID, Line

Told = List[Tuple[int, int]]
"""(xid, zxid) of what was handed over, in order."""


class Request(NamedTuple):
    """A request whose answer has no body."""

    type: int = wire.DELETE


class Play:
    """A line, and what both threads do with it."""

    def __init__(self) -> None:
        self.line = Line(None, "ns")  # type: ignore[arg-type]
        self.line._decided = True
        self.told: Told = []
        self.direct: Told = []
        """What was handed over in the loop's thread."""
        self.refusing = False
        self.taken: Optional[Tuple[int, int]] = None
        """What kazoo's thread is busy with."""

    def deliver(self, line: Line, header: Any, body: bytes) -> bool:
        """As the connection's: hands over in the loop's thread."""
        if self.refusing:
            return False
        assert self.taken is None, "kazoo's thread is busy with what was told before"
        self.told.append((header.xid, header.zxid))
        self.direct.append((header.xid, header.zxid))
        return True

    # --- the loop's thread ---

    def reply(self, number: int) -> None:
        """An answer."""
        self.line.replied((number, Request()), Result(0, None, number))

    def event(self, number: int) -> None:
        """An event."""
        self.line.fired(Event(number, "/a", 3))

    def ping(self, number: int) -> None:
        """A ping's answer: kazoo's thread waits for it, wherever the rest goes."""
        self.line._put(connection.PING_XID, 0, 0, b"")

    # --- kazoo's thread ---

    def take(self, _: int) -> None:
        """Takes what waits, and is busy with it from then on."""
        if self.taken is None and self.rung():
            try:
                header, _body = self.line.take()
            except BlockingIOError:
                return
            self.taken = (header.xid, header.zxid)
            self.told.append(self.taken)

    def done(self, _: int) -> None:
        """Is done with it, and hands over to the loop's if nothing waits, as `_read_socket` does."""
        if self.taken is not None:
            self.taken = None
            self.line.handed()
            if self.line.deliver is None:
                self.line.go_direct(self.deliver)

    def indirect(self, _: int) -> None:
        """Something is about to be sent that only kazoo's thread can wait for."""
        self.line.deliver = None

    def refuse(self, _: int) -> None:
        """The hand-over is taken away at the moment at which the loop's thread has decided for it."""
        self.refusing = not self.refusing

    # --- what a test asks ---

    def rung(self) -> bool:
        """Whether the bell is rung: kazoo's thread would wake."""
        try:
            return self.line.socket._end.recv(1, connection.socket.MSG_PEEK) == b"\0"
        except BlockingIOError:
            return False

    def finish(self) -> None:
        """kazoo's thread takes whatever waits; it is woken for all of it."""
        self.done(0)
        for _ in range(20):
            self.take(0)
            self.done(0)
        assert not self.line._replies, "nobody was woken for what waits"
        assert not self.rung(), "somebody is woken for nothing"

    def close(self) -> None:
        """Gives the sockets back."""
        self.line.hang_up()
        self.line.socket.discard()


def _merged(first: Sequence[Any], second: Sequence[Any]) -> Iterator[List[Any]]:
    """Every order of both in which each keeps its own."""
    if not first or not second:
        yield [*first, *second]
        return
    for rest in _merged(first[1:], second):
        yield [first[0], *rest]
    for rest in _merged(first, second[1:]):
        yield [second[0], *rest]


LOOPS = sorted({*permutations(("reply", "reply", "event", "event")), *permutations(("reply", "ping", "event"))})
"""A ping is kazoo's thread's, also while everything else goes directly: what follows it must not overtake it."""
KAZOOS: List[Sequence[str]] = [
    ("take", "done", "take", "done"),
    ("take", "done", "indirect", "take", "done"),
    ("indirect", "take", "done"),
    ("take", "indirect", "done", "take", "done"),
    ("refuse", "take", "refuse", "done"),
]


def _told(step: str, number: int) -> Tuple[int, int]:
    xids = {"event": WATCH_XID, "reply": number, "ping": connection.PING_XID}
    return xids[step], 0 if step == "ping" else number


@pytest.mark.parametrize("direct", [False, True], ids=["from kazoo's thread", "directly"])
@pytest.mark.parametrize("kazoos", KAZOOS, ids=" ".join)
def test_what_is_told_comes_in_its_order(kazoos: Sequence[str], direct: bool) -> None:
    handed_directly = 0
    for loops in LOOPS:
        for order in _merged([("loop", step) for step in loops], [("kazoo", step) for step in kazoos]):
            play = Play()
            if direct:
                play.line.go_direct(play.deliver)
            number, expected = 0, []
            for who, step in order:
                if who == "loop":
                    number += 1
                    expected.append(_told(step, number))
                getattr(play, step)(number)
            play.finish()
            assert play.told == expected, order
            handed_directly += len(play.direct)
            play.close()
    assert handed_directly or not direct, "nothing went the short way: this shows nothing"


@pytest.mark.parametrize("kind", ["reply", "event"])
def test_what_nobody_takes_directly_after_all_waits_and_so_does_what_follows(kind: str) -> None:
    play = Play()
    play.line.go_direct(play.deliver)
    play.refuse(0)
    getattr(play, kind)(1)
    assert play.rung() and play.told == []
    play.refuse(0)
    getattr(play, kind)(2)
    assert play.told == [], "the second overtakes the first"
    play.finish()
    assert [zxid for _, zxid in play.told] == [1, 2]
    play.close()


def test_it_goes_directly_only_when_nothing_waits_and_nobody_is_busy() -> None:
    play = Play()
    play.reply(1)
    play.line.go_direct(play.deliver)
    assert play.line.deliver is None, "something waits"
    play.take(0)
    play.line.go_direct(play.deliver)
    assert play.line.deliver is None, "kazoo's thread is busy"
    play.done(0)
    assert play.line.deliver is not None
    play.reply(2)
    assert play.direct == [(2, 2)]
    play.close()


def test_an_answer_to_a_ping_is_for_kazoos_thread() -> None:
    play = Play()
    play.line.go_direct(play.deliver)
    play.ping(0)
    assert play.direct == [] and play.rung()
    play.finish()
    assert play.told == [(connection.PING_XID, 0)]
    play.close()


# --- the bell -------------------------------------------------------------------------------------


def test_the_bell_is_rung_once_for_all_that_waits() -> None:
    play = Play()
    for number in range(1, 6):
        play.reply(number)
        assert len(play.line.socket._end.recv(10, connection.socket.MSG_PEEK)) == 1
    for number in range(1, 6):
        play.line.take()
        assert play.rung() == (number < 5)
    play.close()


@pytest.mark.parametrize(("reason", "error"), [(LOST, ConnectionDropped), (EXPIRED, SessionExpiredError)])
@pytest.mark.parametrize("waiting", [0, 2])
def test_an_end_is_told_after_all_that_came_before_it_and_stays(reason: str, error: Any, waiting: int) -> None:
    play = Play()
    for number in range(waiting):
        play.reply(number + 1)
    play.line.over(reason, "why")
    for number in range(waiting):
        assert play.rung()
        header, _ = play.line.take()
        assert header.xid == number + 1
    for _ in range(2):
        assert play.rung(), "whoever looks again is told again"
        with pytest.raises(error):
            play.line.take()
    play.close()


def test_an_end_before_it_is_decided_whether_it_opened_is_told_after_that() -> None:
    play = Play()
    play.line._decided = False
    play.line.over(LOST, "why")
    assert not play.rung()
    play.close()


def test_hanging_up_wakes_whoever_waits() -> None:
    play = Play()
    play.line.hang_up()
    assert play.line.socket._end.recv(1) == b"", "the end of the pair"
    with pytest.raises(ConnectionDropped):
        play.line.silence()
    play.line.socket.discard()


# --- reads in the caller's thread -----------------------------------------------------------------


class ReadsAtOnce:
    """A session that could show a read now."""

    def __init__(self) -> None:
        self.asked = 0

    def read_now(self, op: Any) -> Result:
        """`Session.read_now`."""
        self.asked += 1
        return Result(0, None, 9)


def _nothing(play: Play) -> None:
    """Nothing comes before."""


def _waiting(play: Play) -> None:
    play.event(1)


def _busy(play: Play) -> None:
    play.event(1)
    play.take(0)


def _ended(play: Play) -> None:
    play.line.over(LOST, "why")


def _no_session(play: Play) -> None:
    play.line._session = None


@pytest.mark.parametrize("before", [_nothing, _waiting, _busy, _ended, _no_session])
def test_a_read_overtakes_nothing_that_was_told_before_it(before: Callable[[Play], None]) -> None:
    play = Play()
    session: Any = ReadsAtOnce()
    play.line._session = session
    before(play)
    result = play.line._read_now(Request(wire.EXISTS))
    assert (result is not None) == (before is _nothing) and session.asked == (before is _nothing)
    play.line._session = None
    play.close()


def test_whoever_interrupts_a_turn_is_lent_none() -> None:
    """A signal's handler, in the middle of a read: the read of the one below is not over."""
    turn = loop.Turn()
    inner: List[Any] = []
    assert turn.borrow(lambda: inner.append(turn.borrow(lambda: "inner")) or "outer") == "outer"
    assert inner == [None] and not turn.is_mine()
    with pytest.raises(ZeroDivisionError):
        turn.borrow(lambda: 1 // 0)
    assert not turn.is_mine() and turn.borrow(lambda: "again") == "again"
