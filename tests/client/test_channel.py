"""Between the loop's thread, kazoo's and callers': what is told comes in its order, and every request has one answer.

Without threads: every interleaving of what each of them does is played, step by step, by the product's own line and
connection; and what can happen between two instructions of a step happens there.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pytest
from kazoo.exceptions import ConnectionDropped, SessionExpiredError
from kazoo.protocol.serialization import Delete, Exists, Reconfig
from kazoo.protocol.states import KeeperState

from fk_backend.core.model import Error
from fk_backend.core.requests import Result
from fk_backend.errors import Unknown
from fk_backend.session.engine import EXPIRED, LOST
from fk_kazoo import event_loop
from fk_kazoo.client import KazooClient
from tests.client.stepwise import SteppedConnection, Turned, merged

COMES = [
    ("answer", "answer", "event"),
    ("answer", "event", "answer"),
    ("event", "answer", "answer"),
    ("ping", "answer", "event"),
    ("event", "ping", "answer"),
]
ASKED = [("send", "ask"), ("ask", "send"), ("ask", "ask"), ("send", "send")]
"""What was asked before, in that order: by kazoo's thread, by a caller."""
KAZOOS: List[Sequence[str]] = [
    ("take", "done", "take", "done"),
    ("take", "done", "indirect", "take", "done"),
    ("indirect", "take", "done"),
    ("take", "indirect", "done", "take", "done"),
]


@pytest.mark.parametrize("direct", [False, True], ids=["from kazoo's thread", "directly"])
@pytest.mark.parametrize("kazoos", KAZOOS, ids=" ".join)
def test_what_is_told_comes_in_its_order(kazoos: Sequence[str], direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And each answer reaches its own request."""
    directly = 0
    for asked in ASKED:
        for comes in COMES:
            for steps in merged(comes, kazoos):
                play = SteppedConnection(monkeypatch)
                for step in asked:
                    getattr(play, step)()
                    play.run()
                if not direct:
                    play.indirect()
                for step in steps:
                    before = len(play.told)
                    getattr(play, step)()
                    directly += step in comes and len(play.told) > before
                play.finish()
                assert play.told == play.came, steps
                assert [each.came for each in play.outcomes] == [["answer"]] * 2, steps
                play.discard()
    assert bool(directly) == direct, "nothing went the short way: this shows nothing"


# --- the end --------------------------------------------------------------------------------------

TURNS = [
    ("", ""),
    ("decided", "close"),
    ("looked", "close"),
    ("asked", "close"),
    ("given", "close"),
    ("given", "run"),
    ("listed", "ask"),
    ("listed", "answer"),
    ("listed", "run"),
]
"""What happens in the middle of what: when it is decided that the loop's thread hands over, and before it does, ..."""


@pytest.mark.parametrize("turn", TURNS, ids=[" at ".join(reversed(turn)) or "nothing between" for turn in TURNS])
@pytest.mark.parametrize("kazoos", [("close",), ("take", "done", "close"), ("take", "close", "done")], ids=" ".join)
def test_whatever_is_asked_is_answered_once_whenever_it_ends(
    kazoos: Sequence[str], turn: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    point, happens = turn
    kazoos = [step for step in kazoos if step != happens]
    for steps in merged(("answer", "run", "answer"), kazoos, ("ask", "ask")):
        play: Any = None
        turned = Turned(point, lambda: getattr(play, happens)()) if point else None  # noqa: B023
        play = SteppedConnection(monkeypatch, turned=turned)
        for step in ("ask", "run", *steps):
            getattr(play, step)()
        if play.closed_at is None:
            play.close()
        at_the_end = len(play.told)
        play.finish()
        for outcome in play.outcomes:
            allowed = [[]] if outcome in play.refused else [["answer"], ["ConnectionLoss"]]
            assert outcome.came in allowed, steps
            assert "answer" not in outcome.came or outcome.number in play.told, steps
        assert not play.channel.open_requests and not set(play.told[at_the_end:]) & {
            each.number for each in play.outcomes
        }, steps
        play.discard()


def test_after_the_end_nothing_is_handed_over_in_the_loops_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what came after it, nor what was about to be handed over."""
    play: Any = None
    play = SteppedConnection(monkeypatch, turned=Turned("decided", lambda: play.close()))
    play.event()
    play.event()
    assert play.told == [] and [reply[1] for reply in play.channel._replies] == [1, 2]
    play.discard()


@pytest.mark.parametrize("raises_at", ["asked", "given"])
def test_a_call_that_was_interrupted_is_answered_by_nobody(raises_at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a signal's handler that raises: the caller has gone."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    play = SteppedConnection(monkeypatch, turned=Turned(raises_at, interrupt))
    with pytest.raises(KeyboardInterrupt):
        play.ask()
    assert play.loop.woken == 1, "what was given to the loop may not have woken it"
    play.finish()
    assert play.outcomes[0].came == [] and not play.channel.open_requests
    play.discard()


def test_what_nobody_takes_directly_after_all_waits_and_so_does_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app's own method may be there by now, which is to be called in kazoo's thread."""
    play = SteppedConnection(monkeypatch)
    play.connection.only_kazoos = False
    play.event()
    assert play.rung() and play.told == []
    play.connection.only_kazoos = True
    play.event()
    assert play.told == [], "the second overtakes the first"
    play.finish()
    assert play.told == [1, 2]
    play.discard()


def test_an_answer_to_a_ping_is_for_kazoos_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    play = SteppedConnection(monkeypatch)
    play.ping()
    assert play.told == [] and play.rung()
    play.finish()
    assert play.told == [1]
    play.discard()


def test_what_fails_in_kazoos_thread_does_not_leave_it_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    play = SteppedConnection(monkeypatch)
    play.indirect()
    play.send()
    play.answer()
    play.take()
    play.client._pending.clear()
    with pytest.raises(IndexError):
        play.done()
    assert not play.channel._handles_reply
    play.discard()


# --- the bell -------------------------------------------------------------------------------------


def test_the_bell_is_rung_once_for_all_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    play = SteppedConnection(monkeypatch)
    play.indirect()
    for _ in range(5):
        play.event()
        assert len(play.channel.socket._end.recv(10, socket.MSG_PEEK)) == 1
    for number in range(1, 6):
        play.channel.next_reply()
        assert play.rung() == (number < 5)
    play.discard()


@pytest.mark.parametrize(("reason", "error"), [(LOST, ConnectionDropped), (EXPIRED, SessionExpiredError)])
@pytest.mark.parametrize("waiting", [0, 2])
def test_an_end_is_told_after_all_that_came_before_it_and_stays(
    reason: str, error: Any, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = SteppedConnection(monkeypatch)
    play.indirect()
    for _ in range(waiting):
        play.event()
    play.channel.over(reason, "why")
    for number in range(waiting):
        assert play.rung()
        header, _, _ = play.channel.next_reply()
        assert header.zxid == number + 1
    for _ in range(2):
        assert play.rung(), "whoever looks again is told again"
        with pytest.raises(error):
            play.channel.next_reply()
    play.discard()


def test_an_end_before_it_is_decided_whether_it_opened_is_told_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    play = SteppedConnection(monkeypatch)
    play.channel._decided = False
    play.channel.over(LOST, "why")
    assert not play.rung()
    play.discard()


def test_hanging_up_wakes_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    play = SteppedConnection(monkeypatch)
    play.channel.hang_up()
    assert play.channel.socket._end.recv(1) == b"", "the end of the pair"
    with pytest.raises(ConnectionDropped):
        play.channel.clear_wakeups()
    play.channel.socket.discard()


# --- reads in the caller's thread -----------------------------------------------------------------

READ = Exists("/a", None)


def _nothing(play: SteppedConnection) -> None:
    """Nothing comes before."""


def _waiting(play: SteppedConnection) -> None:
    play.indirect()
    play.event()


def _busy(play: SteppedConnection) -> None:
    _waiting(play)
    play.take()


def _ended(play: SteppedConnection) -> None:
    play.channel.over(LOST, "why")


def _no_session(play: SteppedConnection) -> None:
    play.channel._session = None


def _asked(play: SteppedConnection) -> None:
    play.ask()
    play.run()


def _asked_and_not_given(play: SteppedConnection) -> None:
    play.ask()


@pytest.mark.parametrize("before", [_nothing, _waiting, _busy, _ended, _no_session, _asked, _asked_and_not_given])
def test_a_read_overtakes_nothing_that_came_before_it(
    before: Callable[[SteppedConnection], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    play = SteppedConnection(monkeypatch)
    before(play)
    read: Any = play._outcome()
    assert play.connection.read_now(READ, read) == (before is _nothing) == bool(read.came)
    assert play.session.reads == (before is _nothing)
    play.channel._session = None
    play.discard()


def test_a_read_is_shown_when_all_that_came_before_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    play = SteppedConnection(monkeypatch)
    _busy(play)
    play.done()
    assert play.connection.read_now(READ, play._outcome())
    play.discard()


def test_a_read_sees_what_kazoos_thread_is_taking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either it waits or that thread is busy with it, also between two instructions."""
    play = SteppedConnection(monkeypatch)
    play.indirect()
    seen: List[Any] = []

    class Replies(deque):  # type: ignore[type-arg]
        def popleft(self) -> Any:
            seen.append(play.channel._read_now(READ))
            reply = super().popleft()
            seen.append(play.channel._read_now(READ))
            return reply

    play.channel._replies = Replies()
    play.event()
    play.take()
    assert seen == [None, None] and play.session.reads == 0
    play.discard()


def test_a_read_that_was_interrupted_by_stop_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal's handler has lent the loop to others: what was read may be older than what they were told."""

    def stop() -> None:
        with play.loop.loop_lock.release_temporarily():
            assert not play.loop.loop_lock.is_held()

    play: Any = None
    play = SteppedConnection(monkeypatch, turned=Turned("reading", stop))
    assert play.channel.read_now(READ) is None and play.session.reads == 1
    assert play.channel.read_now(READ) is not None
    play.discard()


def test_whoever_interrupts_a_turn_is_lent_none() -> None:
    """A signal's handler, in the middle of a read: the read of the one below is not over."""
    loop_lock = event_loop.LoopLock()
    inner: List[Any] = []
    assert loop_lock.run_if_free(lambda: inner.append(loop_lock.run_if_free(lambda: "inner")) or "outer") == "outer"
    assert inner == [None] and not loop_lock.is_held()
    with pytest.raises(ZeroDivisionError):
        loop_lock.run_if_free(lambda: 1 // 0)
    assert not loop_lock.is_held() and loop_lock.run_if_free(lambda: "again") == "again"


def test_whoever_interrupts_a_turn_and_asks_for_something_has_it_given_back() -> None:
    """The loop has to answer him; the one below goes on without it, and can tell."""
    loop_lock = event_loop.LoopLock()

    def outer() -> Any:
        loop_lock.release_in_handler()
        assert not loop_lock.is_held()
        return loop_lock.run_if_free(lambda: "inner"), loop_lock.times_released

    assert loop_lock.run_if_free(outer) == ("inner", 1) and not loop_lock.is_held()
    loop_lock.release_in_handler()
    assert loop_lock.times_released == 1


# --- a call ---------------------------------------------------------------------------------------


def _calling(monkeypatch: pytest.MonkeyPatch) -> Tuple[SteppedConnection, Any]:
    """A client that is connected by the play's connection."""
    play = SteppedConnection(monkeypatch)
    client: Any = KazooClient("memory://plays")
    client._connection, play.connection.client = play.connection, client
    client._state = KeeperState.CONNECTED
    client._stopped.clear()
    play.connection._write_sock = play.channel._wake_socket
    return play, client


BEFORE: Dict[str, Tuple[Callable[[Any], Any], str, str]] = {
    "nothing": (lambda client: None, "read", "asked"),
    "a request that is queued": (lambda client: client._queue.append((None, None)), "queued", "queued"),
    "one that is being sent": (lambda client: setattr(client._connection, "sending", True), "queued", "queued"),
    "one of kazoo's thread": (lambda client: client._pending.append((None, None, 1)), "asked", "asked"),
    "the connection's loss": (lambda client: setattr(client, "_state", KeeperState.CONNECTING), "queued", "queued"),
    "an app's part": (lambda client: setattr(client._connection, "only_kazoos", False), "queued", "queued"),
    "stop": (lambda client: client._stopped.set(), "read", "queued"),
}


def _way(play: SteppedConnection, client: Any, request: Any) -> str:
    outcome = play._outcome()
    client._dispatch(request, outcome)
    asked = any(each.result is outcome for each in list(play.channel.open_requests))
    queued = any(result is outcome for _, result in client._queue)
    assert bool(outcome.came) + asked + queued == 1
    return "read" if outcome.came else "asked" if asked else "queued"


@pytest.mark.parametrize("before", BEFORE)
def test_a_call_takes_the_short_way_only_if_nothing_goes_the_long_one(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has a watch has its answer after the watch's registration; what kazoo's loop has to know of goes there."""
    prepare, reads, writes = BEFORE[before]
    watched = "asked" if writes == "asked" else "queued"
    ways = (
        (READ, reads),
        (Exists("/a", print), watched),
        (Delete("/a", -1), writes),
        (Reconfig("", "", "", -1), "queued"),
    )
    for request, way in ways:
        play, client = _calling(monkeypatch)
        prepare(client)
        assert _way(play, client, request) == way, request
        play.discard()


DELETE = Delete("/a", -1)


def test_only_who_waits_writes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    play, client = _calling(monkeypatch)
    play.session.written = Result(Error.OK, None, 7)
    assert _way(play, client, DELETE) == "asked"
    play.discard()
    play, client = _calling(monkeypatch)
    play.session.written = Result(Error.OK, None, 7)
    client._waits = threading.get_ident()
    assert _way(play, client, DELETE) == "read" and client.last_zxid == 7
    play.discard()


class _Interruption(Exception):
    """What a signal's handler raises."""


@pytest.mark.parametrize("raised, then", [(Unknown("?"), "over"), (_Interruption(), "told")])
def test_a_write_at_once_that_fails_or_is_interrupted_leaves_nothing_behind(
    raised: Exception, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop ends a session of which nobody knows what was done; after an exception it tells others what was done."""
    play, client = _calling(monkeypatch)
    play.session.written = raised
    client._waits = threading.get_ident()
    outcome = play._outcome()
    if then == "over":
        client._dispatch(DELETE, outcome)
        assert outcome.came == ["ConnectionLoss"]
    else:
        with pytest.raises(_Interruption):
            client._dispatch(DELETE, outcome)
        assert outcome.came == []
    assert play.session.did == []
    play.run()
    assert play.session.did == [then] and not play.channel.open_requests
    play.discard()


@pytest.mark.parametrize(
    "state, error",
    [
        (KeeperState.EXPIRED_SESSION, "SessionExpiredError"),
        (KeeperState.AUTH_FAILED, "AuthFailedError"),
        (KeeperState.CONNECTING, "ConnectionLoss"),
    ],
)
def test_the_end_fails_what_callers_asked_as_kazoo_fails_the_rest(
    state: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play, client = _calling(monkeypatch)
    play.ask()
    client._pending.append((Delete("/a", -1), play._outcome(), 1))
    client._queue.append((Delete("/a", -1), play._outcome()))
    client._notify_pending(state)
    assert [outcome.came for outcome in play.outcomes] == [[error]] * 3
    play.discard()
