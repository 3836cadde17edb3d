"""The state machine of a session, by itself: what it does next, and in what order answers and events come out."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any, Deque, Dict, List, Tuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error, EventType, Trigger
from fk_backend.core.requests import Auth, Create, Result, SetData, WatchSubtrees
from fk_backend.core.watches import PERSISTENT, RECURSIVE
from fk_backend.messages import Answers, Fired, TriggerLog, trigger_log_of
from fk_backend.ports import Written
from fk_backend.session import machine as machine_module
from fk_backend.session.machine import (
    AWAITING,
    DO_READ,
    DO_WRITE,
    FULL,
    IDLE,
    NO_TAG,
    NOTE,
    NOTHING,
    OPENING,
    OVER,
    READ,
    SEND,
    STEPS,
    TAKE_NOTE,
    WAIT,
    WRITE,
    Machine,
)
from fk_backend.session.ops import AddWatch, Fail, GetData, Sync
from fk_backend.session.packing import MAX_MESSAGE_BYTES, MAX_MESSAGE_REQUESTS
from fk_backend.session.watchlist import Event, Watch

WRITES_A = SetData("/a", b"", -1)
READS_A = GetData("/a", False)
EMPTY = TriggerLog(0, 0, "[]")


def begun(zxid: int = 0) -> Machine:
    """One whose first answer has come."""
    machine = Machine()
    machine.begin(zxid, zxid, [])
    return machine


def watching(zxid: int = 0) -> Machine:
    """One that is told of every change of /a after ``zxid``."""
    machine = begun(zxid)
    machine.watches.arm(Watch("/a", PERSISTENT, 1, zxid, True))
    return machine


def changes(*zxids: int) -> List[Trigger]:
    """Of /a."""
    return [Trigger(zxid, "/a", EventType.CHANGED) for zxid in zxids]


def answer(zxid: int, code: int = 0, value: Any = None) -> Tuple[int, Any, int]:
    """As it travels."""
    return code, value, zxid


# --- what comes next ------------------------------------------------------------------------------


def test_every_state_knows_what_to_do_with_everything() -> None:
    states, lines = (OPENING, IDLE, AWAITING, FULL, OVER), (NOTE, WRITE, READ, NOTHING)
    assert set(STEPS) == set(itertools.product(states, lines))
    assert all(STEPS[state, line] == WAIT for state in (OPENING, OVER) for line in lines)


def test_its_state_is_what_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "MAX_IN_FLIGHT", 2)
    machine = Machine()
    assert machine.state == OPENING
    machine.begin(1, 1, [])
    assert machine.state == IDLE
    for state in (AWAITING, FULL):
        machine.submit("w", WRITES_A)
        machine.next_message(None)
        assert machine.state == state
    machine.end()
    assert machine.state == OVER


def test_what_is_asked_before_the_first_answer_waits() -> None:
    machine = Machine()
    machine.submit("w", WRITES_A)
    machine.receive(b"the first answer")
    assert machine.next_step() == WAIT
    machine.begin(5, 5, [])
    assert machine.next_step() == TAKE_NOTE


def test_a_read_waits_for_writes_and_a_write_for_a_read() -> None:
    machine = begun()
    for tag, op in (("w1", WRITES_A), ("r", READS_A), ("w2", WRITES_A)):
        machine.submit(tag, op)
    assert machine.next_step() == DO_WRITE
    machine.next_message(None)
    assert machine.next_step() == WAIT
    assert [pending.tag for pending, _ in machine.answers(Answers(1, [answer(1)], EMPTY))] == ["w1"]
    assert machine.next_step() == DO_READ
    assert machine.requested.popleft()[0] == "r"
    assert machine.next_step() == DO_WRITE


def test_a_write_behind_writes_goes_by_the_queue() -> None:
    machine = begun()
    machine.submit("w1", WRITES_A)
    machine.next_message(None)
    machine.submit("w2", WRITES_A)
    assert machine.next_step() == SEND


def test_what_was_pushed_is_taken_first() -> None:
    machine = begun()
    machine.submit("r", READS_A)
    machine.receive(b"note")
    assert machine.next_step() == TAKE_NOTE


def test_nothing_is_done_once_it_is_over() -> None:
    machine = begun()
    machine.submit("w", WRITES_A)
    machine.end()
    assert machine.next_step() == WAIT and machine.is_busy


# --- what is asked --------------------------------------------------------------------------------


def test_who_only_reads_can_not_write() -> None:
    machine = Machine()
    machine.observe(7)
    machine.submit("w", WRITES_A, fits=False)
    machine.submit("x", AddWatch("/a", RECURSIVE))
    assert list(machine.requested) == [("w", Fail(Error.NOT_READ_ONLY)), ("x", AddWatch("/a", RECURSIVE))]
    assert machine.watermark == 7


def test_what_no_message_takes_fails_in_its_turn() -> None:
    machine = begun()
    machine.submit("w", WRITES_A, fits=False)
    assert list(machine.requested) == [("w", Fail(Error.TOO_LARGE))] and machine.next_step() == DO_READ


def test_a_recursive_watch_asks_for_its_triggers_first_and_fails_with_them() -> None:
    machine = begun()
    machine.submit("x", AddWatch("/a", RECURSIVE))
    assert [op for _, op in machine.requested] == [WatchSubtrees(), AddWatch("/a", RECURSIVE)]
    machine.next_message(None)
    machine.learn(WatchSubtrees(), Result(Error.TOO_LARGE, None, 3))
    assert list(machine.requested) == [("x", Fail(Error.TOO_LARGE))]


def test_a_message_takes_writes_that_follow_each_other() -> None:
    machine = begun()
    for _ in range(MAX_MESSAGE_REQUESTS + 1):
        machine.submit("w", WRITES_A)
    machine.submit("r", READS_A)
    machine.submit("w", WRITES_A)
    first, requests = machine.next_message(None)
    assert (first, len(requests)) == (1, MAX_MESSAGE_REQUESTS)
    first, requests = machine.next_message(None)
    assert (first, len(requests)) == (1 + MAX_MESSAGE_REQUESTS, 1) and machine.first_in_line == READ


def test_a_message_has_a_size_but_takes_one_request_of_any() -> None:
    machine = begun()
    large = Create("/a", bytes(MAX_MESSAGE_BYTES), OPEN_ACL, 0, 0, False)
    for op in (large, WRITES_A, WRITES_A):
        machine.submit("w", op)
    assert [len(machine.next_message(None)[1]) for _ in range(2)] == [1, 2]


def test_what_was_not_sent_gives_its_number_back() -> None:
    machine = begun()
    machine.submit("w1", WRITES_A)
    machine.submit("w2", WRITES_A)
    before = machine.next_number
    tag, op = machine.requested.popleft()
    machine.number()
    machine.put_back(before, tag, op)
    assert [tag for tag, _ in machine.requested] == ["w1", "w2"] and machine.next_message(None)[0] == before


@pytest.mark.parametrize(
    ("behind", "single"), [([], True), ([READS_A, WRITES_A], True), ([WRITES_A], False), ([Sync("/")], True)]
)
def test_a_write_has_company_if_another_one_is_next(behind: List[Any], single: bool) -> None:
    machine = begun()
    for op in (WRITES_A, *behind):
        machine.submit("", op)
    assert machine.is_single() == single


def test_an_idle_session_keeps_no_queues() -> None:
    machine = begun()
    machine.submit("r", READS_A)
    machine.requested.popleft()
    machine.clear()
    assert not machine.is_busy and machine.requested == machine.notes == machine.in_flight == ()


# --- answers --------------------------------------------------------------------------------------


def test_a_batch_that_came_again_and_was_cut_anew_is_answered_once() -> None:
    machine = begun()
    for tag in range(4):
        machine.submit(tag, WRITES_A)
    machine.next_message(None)
    machine.keep(Answers(3, [answer(3), answer(4)], EMPTY))
    assert machine.next_answers() is None
    machine.keep(Answers(1, [answer(1)], EMPTY))
    machine.keep(Answers(1, [answer(1), answer(2), answer(3)], EMPTY))
    machine.keep(Answers(1, [answer(1)], EMPTY))
    came = []
    found = machine.next_answers()
    while found is not None:
        came += [(pending.tag, result.zxid) for pending, result in machine.answers(found)]
        found = machine.next_answers()
    assert came == [(0, 1), (1, 2), (2, 3), (3, 4)] and machine.state == IDLE


def test_no_answer_comes_after_its_end() -> None:
    machine = begun()
    for tag in range(3):
        machine.submit(tag, WRITES_A)
    machine.next_message(None)
    came = []
    for pending, _ in machine.answers(Answers(1, [answer(n) for n in (1, 2, 3)], TriggerLog(3, 0, "[]"))):
        came.append(pending.tag)
        machine.end()
    assert came == [0] and machine.answered_zxid == 0


def test_a_credential_counts_for_what_comes_after_it_and_holds_back_what_was_pushed() -> None:
    machine, fired = begun(), Fired([], EMPTY)
    assert not machine.defer(fired)
    machine.submit("auth", Auth("digest", "u:p"))
    machine.next_message(None)
    assert machine.defer(fired)
    ((pending, _),) = machine.answers(Answers(1, [answer(4, value=[("digest", "u:x")])], EMPTY))
    machine.learn(pending.op, Result(Error.OK, [("digest", "u:x")], 4))
    assert machine.deferred() == [fired] and machine.deferred() == []
    assert not machine.defer(fired) and machine.watches.identities == (("digest", "u:x"),)


# --- events ---------------------------------------------------------------------------------------


def test_events_are_those_above_the_watermark_and_not_above_what_is_shown() -> None:
    machine = watching(2)
    trigger_log = trigger_log_of(6, 0, changes(1, 2, 3, 5, 6))
    assert machine.skip(trigger_log) is None
    assert [event.zxid for event in machine.events(5, trigger_log)] == [3, 5]


def test_a_log_that_does_not_reach_back_is_no_log() -> None:
    machine = watching(2)
    watch = machine.watches.all()[0]
    assert machine.skip(trigger_log_of(6, 3, changes(5))) == [watch]
    assert [event.zxid for event in machine.watches.late(changes(3))] == [3], "its push is still told"


def test_the_watermark_never_goes_back() -> None:
    machine = begun(5)
    machine.shown(3)
    assert machine.watermark == 5
    machine.shown(8)
    assert machine.watermark == 8


@pytest.mark.parametrize(
    ("since", "zxid", "triggers", "before"),
    [
        (0, 9, (), False),
        (0, 9, (4,), False),
        (0, 9, (7,), True),
        (0, 9, (9,), True),
        (0, 9, (10,), False),
        (6, 9, (), True),
        (9, 5, (), False),
    ],
)
def test_what_comes_before_an_answer(since: int, zxid: int, triggers: Tuple[int, ...], before: bool) -> None:
    machine = watching(5)
    written = Written(Result(0, None, zxid), 10, since, tuple(changes(*triggers)))
    assert machine.has_events_before(written) == before


# --- all of it ------------------------------------------------------------------------------------


class AnySession(RuleBasedStateMachine):
    """A session, a queue whose answers come late, again, cut anew and out of order, and others who write, too.

    Every write of its own and of others changes /a, which is watched. What comes out is what `Machine` promises.
    """

    MAX_IN_FLIGHT = 6

    def __init__(self) -> None:
        super().__init__()
        self.machine = watching()
        self.tags = itertools.count()
        self.asked: List[int] = []
        self.shown: List[Any] = []
        """Tags and zxids of events, as they came out."""
        self.zxid = 0
        self.unwritten: Deque[Tuple[int, int]] = deque()
        """(number, tag) of requests in the queue."""
        self.written: Dict[int, int] = {}
        """The zxid of each request, by its number."""
        self.notes: List[Answers] = []
        self.pushed: Dict[bytes, Answers] = {}

    # --- the app ---

    @rule(count=st.integers(1, 4))
    def write(self, count: int) -> None:
        for _ in range(count):
            self._submit(WRITES_A)

    @rule()
    def read(self) -> None:
        self._submit(READS_A)

    def _submit(self, op: Any) -> None:
        tag = next(self.tags)
        self.asked.append(tag)
        self.machine.submit(tag, op)

    # --- the deployment ---

    @rule()
    def another_writes(self) -> None:
        self.zxid += 1

    @precondition(lambda self: self.unwritten)
    @rule(count=st.integers(1, 5))
    def the_writer_writes(self, count: int) -> None:
        first = self.unwritten[0][0]
        for _ in range(min(count, len(self.unwritten))):
            self.zxid += 1
            self.written[self.unwritten.popleft()[0]] = self.zxid
        self._push(first, max(self.written))

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def answers_come_again(self, data: Any) -> None:
        first = data.draw(st.sampled_from(sorted(self.written)))
        self._push(first, data.draw(st.integers(first, max(self.written))))

    def _push(self, first: int, last: int) -> None:
        results = [answer(self.written[number]) for number in range(first, last + 1)]
        self.notes.append(Answers(first, results, self._log()))

    def _log(self) -> TriggerLog:
        return trigger_log_of(self.zxid, 0, changes(*range(1, self.zxid + 1)))

    @precondition(lambda self: self.notes)
    @rule(data=st.data(), again=st.booleans())
    def a_note_arrives(self, data: Any, again: bool) -> None:
        position = data.draw(st.integers(0, len(self.notes) - 1))
        note = self.notes[position] if again else self.notes.pop(position)
        body = b"%d" % len(self.pushed)
        self.pushed[body] = note
        self.machine.receive(body)

    # --- the driver ---

    @rule()
    def next_step(self) -> None:
        machine, step = self.machine, self.machine.next_step()
        if step in (DO_WRITE, SEND):
            assert (step == SEND) == bool(machine.in_flight) and len(machine.in_flight) < self.MAX_IN_FLIGHT
            first, requests = machine.next_message(None)
            sent = list(machine.in_flight)[-len(requests) :]
            assert [pending.number for pending in sent] == list(range(first, first + len(requests)))
            self.unwritten.extend((pending.number, pending.tag) for pending in sent)
        elif step == DO_READ:
            assert not machine.in_flight
            tag, _ = machine.requested.popleft()
            self._show(tag, self.zxid, self._log())
        elif step == TAKE_NOTE:
            machine.keep(self.pushed[machine.notes.popleft()])
            found = machine.next_answers()
            while found is not None:
                for pending, result in machine.answers(found):
                    assert result.zxid == self.written[pending.number]
                    self._show(pending.tag, result.zxid, found.trigger_log)
                found = machine.next_answers()
        else:
            assert step == WAIT and not machine.notes

    def _show(self, tag: int, zxid: int, trigger_log: TriggerLog) -> None:
        if zxid > self.machine.watermark:
            assert self.machine.skip(trigger_log) is None
            events: List[Event] = list(self.machine.events(zxid, trigger_log))
            self.shown += [("event", event.zxid) for event in events]
        self.machine.shown(zxid)
        self.shown.append(tag)
        assert [each for each in self.shown if isinstance(each, tuple)] == [
            ("event", each) for each in range(1, self.machine.watermark + 1)
        ], "an answer comes after every event up to it, and each event once"

    # --- what holds ---

    @invariant()
    def answers_come_in_the_order_of_requests_and_once(self) -> None:
        answered = [each for each in self.shown if isinstance(each, int)]
        assert answered == self.asked[: len(answered)]

    @invariant()
    def its_state_is_what_is_on_its_way(self) -> None:
        waiting = len(self.machine.in_flight)
        state = IDLE if not waiting else AWAITING if waiting < self.MAX_IN_FLIGHT else FULL
        assert self.machine.state == state

    def teardown(self) -> None:
        """Once everything has come, everything is answered."""
        while self.machine.is_busy or self.unwritten:
            if self.unwritten:
                self.the_writer_writes(len(self.unwritten))
            for note in self.notes:
                body = b"%d" % len(self.pushed)
                self.pushed[body] = note
                self.machine.receive(body)
            self.notes = []
            self.next_step()
        assert [each for each in self.shown if isinstance(each, int)] == self.asked


def test_whatever_happens_answers_and_events_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "MAX_IN_FLIGHT", AnySession.MAX_IN_FLIGHT)
    case: Any = AnySession.TestCase()
    case.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
    case.runTest()


def test_what_the_session_asks_itself_has_no_answer() -> None:
    machine = begun()
    machine.submit("x", AddWatch("/a", RECURSIVE))
    assert machine.requested[0] == (NO_TAG, WatchSubtrees())
