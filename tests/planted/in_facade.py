"""Mistakes of the client: the way between two threads, reads at once, deployments that are shared."""

from __future__ import annotations

from fk_backend.session import machine, reads
from fk_kazoo import channel, client, connection, delivery, event_loop, loop_thread

from .edited import Family

family = Family("facade")
edit, swap = family.edit, family.swap

LINE = "tests/client/test_channel.py::"
ORDER = LINE + "test_what_is_told_comes_in_its_order"
OVERTAKES = LINE + "test_a_read_overtakes_nothing_that_came_before_it"
ONCE = LINE + "test_whatever_is_asked_is_answered_once_whenever_it_ends"
DISPATCH = LINE + "test_a_call_takes_the_short_way_only_if_nothing_goes_the_long_one"
NOW = "tests/session/test_read_now.py::"

# --- between the threads --------------------------------------------------------------------------

L, C, D = channel.Channel, connection.DeploymentConnection, delivery.Delivery
K = client.KazooClient
edit("a reply overtakes what kazoo's thread is busy with", L, "_pass_reply", " or self._handles_reply", "", ORDER)
edit("a reply overtakes what waits", L, "_pass_reply", "self._replies or ", "", ORDER)
edit(
    "an event goes the short way, whatever waits",
    L,
    "_pass_reply",
    "None if waits",
    "None if waits and xid != WATCH_XID",
    ORDER,
)
edit(
    "what kazoo's thread has sent is answered by another one",
    L,
    "_pass_reply",
    " or (asked is None and xid != WATCH_XID)",
    "",
    LINE + "test_an_answer_to_a_ping_is_for_kazoos_thread",
    ORDER,
)
edit(
    "what nobody took directly is lost",
    L,
    "_pass_reply",
    "deliver is not None and not deliver(",
    "deliver is not None and deliver(",
    LINE + "test_what_nobody_takes_directly_after_all_waits_and_so_does_what_follows",
    ORDER,
)
edit("kazoo's thread is not busy with what it took", L, "next_reply", "self._handles_reply = True", "pass", ORDER)
edit(
    "for a moment, what is taken neither waits nor is anybody busy with it",
    L,
    "next_reply",
    "self._handles_reply = True\n            xid, zxid, code, body, asked = self._replies.popleft()",
    "xid, zxid, code, body, asked = self._replies.popleft()\n            self._handles_reply = True",
    LINE + "test_a_read_sees_what_kazoos_thread_is_taking",
)
edit(
    "kazoo's thread is busy for ever",
    L,
    "done_with_reply",
    "self._handles_reply = False",
    "pass",
    LINE + "test_a_read_is_shown_when_all_that_came_before_it_was_told",
)
edit(
    "kazoo's thread is busy for ever with what failed",
    C,
    "_read_socket",
    "finally:",
    "except ZeroDivisionError:",
    LINE + "test_what_fails_in_kazoos_thread_does_not_leave_it_busy",
)
edit("two answer one request", L, "claim", "return False", "return True", ONCE)
edit(
    "what a caller asked is answered to whoever kazoo's thread asked for",
    C,
    "_read_response",
    "if asked is not None:",
    "if False:",
    ORDER,
)
edit("an answer is set that another one has set", C, "_read_response", "self._channel.claim(asked)", "True", ONCE)
edit("an answer that comes directly is set whoever has it", D, "_deliver", "elif channel.claim(asked):", "else:", ONCE)
edit("what is asked when it has ended is answered by nobody", D, "_hand_over", "if channel.closed:", "if False:", ONCE)
edit(
    "what is asked while it ends is answered by nobody",
    L,
    "close",
    "self.closed, self.deliver = True, None\n    left = []\n    for asked in list(self.open_requests):",
    "left, every = [], list(self.open_requests)\n    self.closed, self.deliver = True, None\n    for asked in every:",
    ONCE,
)
edit("what nobody answered any more is not told", L, "close", "left.append(asked)", "pass", ONCE)
edit(
    "after the end something is handed over in the loop's thread",
    D,
    "_deliver",
    "if channel.closed or ",
    "if ",
    LINE + "test_after_the_end_nothing_is_handed_over_in_the_loops_thread",
)
edit(
    "what an app replaced is not called",
    D,
    "_deliver",
    " or not self.usual()",
    "",
    LINE + "test_what_nobody_takes_directly_after_all_waits_and_so_does_what_follows",
)
edit(
    "a call that was interrupted is answered",
    D,
    "_hand_over",
    "channel.claim(asked)\n        loop",
    "loop",
    LINE + "test_a_call_that_was_interrupted_is_answered_by_nobody",
)
edit(
    "who was interrupted before he woke the loop leaves it asleep",
    D,
    "_hand_over",
    "loop_thread.current().wake()",
    "pass",
    LINE + "test_a_call_that_was_interrupted_is_answered_by_nobody",
)
edit("nobody is woken for what waits", L, "_queue_reply", "len(self._replies) == 1", "False", ORDER)
edit(
    "the bell is rung for each that waits",
    L,
    "_queue_reply",
    "len(self._replies) == 1",
    "True",
    LINE + "test_the_bell_is_rung_once_for_all_that_waits",
)
edit(
    "the bell is silenced while something waits",
    L,
    "next_reply",
    "if not self._replies and self._ended is None",
    "if self._ended is None",
    LINE + "test_the_bell_is_rung_once_for_all_that_waits",
)
edit(
    "an end is told before what came before it",
    L,
    "next_reply",
    "if self._replies:",
    "if self._replies and self._ended is None:",
    LINE + "test_an_end_is_told_after_all_that_came_before_it_and_stays",
)
edit(
    "an end is told to nobody",
    L,
    "over",
    "if self._decided",
    "if False",
    LINE + "test_an_end_is_told_after_all_that_came_before_it_and_stays",
)
edit(
    "a session that expired is only lost",
    L,
    "next_reply",
    "reason == EXPIRED",
    "False",
    LINE + "test_an_end_is_told_after_all_that_came_before_it_and_stays",
)
edit(
    "an end is told before the opening",
    L,
    "over",
    "if self._decided",
    "if True",
    LINE + "test_an_end_before_it_is_decided_whether_it_opened_is_told_after_that",
)
edit(
    "hanging up wakes nobody", L, "hang_up", "self.stop_waking()", "pass", LINE + "test_hanging_up_wakes_whoever_waits"
)
edit("a read at once overtakes what waits", L, "_read_now", " or self._replies", "", OVERTAKES)
edit(
    "a read at once overtakes what kazoo's thread is busy with",
    L,
    "_read_now",
    " or self._handles_reply",
    "",
    OVERTAKES,
)
edit(
    "who asks meanwhile is kept waiting by what is interrupted",
    event_loop.LoopLock,
    "release_in_handler",
    "self.release()",
    "pass",
    LINE + "test_whoever_interrupts_a_turn_and_asks_for_something_has_it_given_back",
)
edit(
    "what was interrupted does not see that others had the turn",
    event_loop.LoopLock,
    "release_in_handler",
    "self.times_released += 1",
    "pass",
    LINE + "test_whoever_interrupts_a_turn_and_asks_for_something_has_it_given_back",
)
NOW_WRITTEN = LINE + "test_a_write_at_once_that_fails_or_is_interrupted_leaves_nothing_behind"
edit(
    "a write that may have been done leaves its session as it is",
    L,
    "write_now",
    "thread.call(self.break_off, str(error))",
    "pass",
    NOW_WRITTEN,
)
edit(
    "a write that was interrupted leaves others untold",
    L,
    "write_now",
    "thread.call(self._complete_write)",
    "pass",
    NOW_WRITTEN,
)
edit(
    "what is sent without waiting is written one by one",
    K,
    "_dispatch",
    "waits(self) and ",
    "",
    LINE + "test_only_who_waits_writes_at_once",
)
edit(
    "a create waits for kazoo's thread for links",
    D,
    "write_now",
    "request.type in wire.CREATES",
    "False",
    "tests/client/test_reads_at_once.py::test_who_waits_for_a_write_waits_for_no_other_thread",
)
edit("a read at once is shown by a connection that ended", L, "_read_now", " or self._ended is not None", "", OVERTAKES)
edit(
    "a read at once overtakes what another caller asked",
    D,
    "read_now",
    "if channel.open_requests:",
    "if False:",
    OVERTAKES,
)
edit(
    "a read is shown that stop() came in the middle of",
    L,
    "read_now",
    "result if loop_lock.times_released == times else None",
    "result",
    LINE + "test_a_read_that_was_interrupted_by_stop_is_not_shown",
)
edit(
    "a turn is lent to whoever interrupts it",
    event_loop.LoopLock,
    "run_if_free",
    "if self.is_held():",
    "if False:",
    LINE + "test_whoever_interrupts_a_turn_is_lent_none",
)
edit(
    "a turn that was interrupted is never given back",
    event_loop.LoopLock,
    "_release",
    "self.release()",
    "pass",
    LINE + "test_whoever_interrupts_a_turn_is_lent_none",
)
edit("a call overtakes what is queued", K, "_dispatch", " and not self._queue", "", DISPATCH)
edit("a call overtakes what is being sent", K, "_dispatch", " and not connection.sending", "", DISPATCH)
edit("a read overtakes what kazoo's thread has sent", K, "_dispatch", "not self._pending and ", "", DISPATCH)
edit(
    "a call is answered while there is no session",
    K,
    "_dispatch",
    "self._state == KeeperState.CONNECTED and ",
    "",
    DISPATCH,
)
edit(
    "a read that leaves a watch is answered at once",
    D,
    "read_now",
    'getattr(request, "watcher", None) is not None',
    "False",
    DISPATCH,
)
edit(
    "what only kazoo's thread can send is sent by its caller",
    D,
    "submit_now",
    'getattr(request, "type", None) not in wire.DIRECT',
    "False",
    DISPATCH,
)
edit("a client that is stopped sends", D, "submit_now", "client._stopped.is_set() or ", "", DISPATCH)
edit(
    "what nobody will answer fails after what is queued is thrown away",
    K,
    "_notify_pending",
    "for asked in self._connection.leave():",
    "for asked in ():",
    LINE + "test_the_end_fails_what_callers_asked_as_kazoo_fails_the_rest",
)
edit(
    "an end by expiry is a lost connection",
    K,
    "_notify_pending",
    "_UNANSWERED.get(state, ConnectionLoss)",
    "ConnectionLoss",
    LINE + "test_the_end_fails_what_callers_asked_as_kazoo_fails_the_rest",
)

# --- a deployment that several clients of a process use -------------------------------------------

LINGERS = "tests/client/test_lingering.py::test_it_is_open_while_it_is_used_and_a_second_longer"
T = loop_thread.LoopThread
edit(
    "a deployment is retired although it was opened again within its lingering second",
    T,
    "acquire",
    "opening.retiring.cancel()",
    "pass",
    LINGERS,
)
edit("a deployment is closed under those who use it", T, "release", "if not opening.users", "if True", LINGERS)
edit("a deployment is never closed", T, "_retire", "opening.close()", "asyncio.sleep(0)", LINGERS)
edit("a deployment is closed at once", T, "release", "KEEP_OPEN_S", "0", LINGERS)
edit("a deployment that is closed is used again", T, "_retire", "del self._open[key]", "pass", LINGERS)

# --- reads at once --------------------------------------------------------------------------------

S, M = reads.Reads, machine.Machine
edit("a read overtakes a write", M, "is_busy", "or self.in_flight", "", NOW + "test_a_read_does_not_overtake")
edit(
    "a read overtakes the event of a watch",
    S,
    "read_now",
    " or len(machine.watches)",
    "",
    NOW + "test_with_a_watch_armed_a_read_asks_the_session_for_its_events",
)
edit(
    "a connection that ended shows a read",
    S,
    "read_now",
    "machine.is_over or ",
    "",
    NOW + "test_a_connection_that_ended_shows_nothing",
)
edit(
    "who was out of touch is shown a read",
    S,
    "read_now",
    "if self.overdue():",
    "if False:",
    NOW + "test_who_was_out_of_touch_is_shown_nothing",
)
edit(
    "a write is done as a read",
    S,
    "read_now",
    " or not isinstance(op, READS)",
    "",
    NOW + "test_what_is_no_read_is_not_done_at_once",
)
edit(
    "a read that fails at once fails",
    S,
    "read_now",
    "except BackendError",
    "except ZeroDivisionError",
    NOW + "test_a_store_that_waits_or_fails_shows_nothing",
)
edit(
    "what was shown at once is news",
    S,
    "read_now",
    "machine.shown(result.zxid)",
    "pass",
    NOW + "test_what_was_shown_at_once_is_not_told_as_news",
)
