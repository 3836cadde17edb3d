"""Mistakes of the providers in a process and on a machine."""

from __future__ import annotations

from fk_backend.functions import writer
from fk_backend.providers import direct, dispatch, memory, writes
from fk_backend.providers.local import (
    combining,
    event_sockets,
    files,
    gateway,
    host,
    lock,
    progress,
    statements,
    store,
    takeover,
    turn,
)
from fk_backend.providers.local import direct as beside
from fk_backend.providers.memory import store as memory_store
from fk_backend.writer import step

from .edited import Family

family = Family("local")
edit, swap = family.edit, family.swap

HOST = "tests/providers/local/test_host.py::"
LIVES = "tests/providers/local/test_lifetimes.py::"
IN_MEMORY = "tests/providers/memory/test_deployment.py::"
DIRECT = "tests/providers/local/test_direct.py::"
EVENTS = "tests/providers/local/test_event_sockets.py::"
TURN = "tests/providers/local/test_turn.py::"
TAKEOVER = "tests/providers/local/test_takeover.py::"

# --- what one does for all ------------------------------------------------------------------------

edit(
    "the host lock is taken twice in one process",
    lock.Lock,
    "acquire",
    "if path in _held",
    "if False",
    LIVES + "test_a_process_takes_the_host_lock_once",
)
edit(
    "the host lock goes by the name that it is asked for by",
    lock.Lock,
    "acquire",
    "path = os.path.realpath(path)",
    "path = os.path.abspath(path)",
    LIVES + "test_a_process_takes_the_host_lock_once",
)
edit(
    "the host lock is not given back",
    lock.Lock,
    "release",
    "_held.discard(self._path)",
    "pass",
    LIVES + "test_a_process_takes_the_host_lock_once",
)
edit(
    "nobody stands in for a host that is stopped",
    host.Host,
    "_is_due",
    "if now - self._since_s < self._patience_s:",
    "if True:",
    HOST + "test_a_host_that_stands_still_is_stood_in_for",
)
edit(
    "all look after everything all the time",
    host.Host,
    "_is_due",
    "if moved != self._seen:",
    "if False:",
    HOST + "test_a_host_that_stands_still_is_stood_in_for",
)
edit(
    "only one namespace is looked after",
    store,
    "namespaces",
    "found.append(ns)",
    "return [ns]",
    HOST + "test_where_nothing_is_to_be_looked_after_nobody_looks",
    also=(host,),
)
edit(
    "what rested once rests for ever",
    host.Host,
    "_look_after",
    "if ns in self._resting and self._idle.get(ns) == zxid:",
    "if ns in self._resting:",
    HOST + "test_where_nothing_is_to_be_looked_after_nobody_looks",
)
edit(
    "what somebody left untold is told by nobody",
    host.Host,
    "_look_after",
    "self._functions.schedule_fan_out(ns)",
    "pass",
    DIRECT + "test_who_is_interrupted_leaves_nobody_untold",
)
edit(
    "files that somebody uses are taken over",
    takeover,
    "take_over",
    "if held is not None:\n                return",
    "if True:\n                return",
    TAKEOVER + "test_somebody_uses_it",
    also=(files.takeover,),
)
edit(
    "what a version before left stays",
    takeover,
    "_take_over",
    "os.unlink(os.path.join(directory, name))",
    "pass",
    TAKEOVER + "test_nobody_uses_it",
)

# --- in a process ---------------------------------------------------------------------------------

M = memory.MemoryDeployment
edit(
    "who was moved away from in this process is not told",
    M,
    "drop",
    "if subscriber is not None",
    "if False",
    IN_MEMORY + "test_an_inbox_hears_its_own_and_nothing_once_it_is_given_up",
)
edit(
    "an inbox that was given up hears on",
    M,
    "unsubscribe",
    "self._subscribers.pop(inbox, None)",
    "pass",
    IN_MEMORY + "test_an_inbox_hears_its_own_and_nothing_once_it_is_given_up",
)
PLACE = "tests/providers/test_in_place.py::"
BETWEEN = PLACE + "test_who_comes_in_between_is_first"
HEARD = PLACE + "test_who_watches_hears_of_it"
edit(
    "a change is made whatever came in between",
    memory_store.MemoryStore,
    "_make",
    "partial(self._under_way.__delitem__, change), ",
    "",
    BETWEEN,
)
edit(
    "a tree that moved to another loop is written to by who was at it",
    memory_store.MemoryStore,
    "moved",
    "self._under_way.clear()",
    "pass",
    PLACE + "test_a_tree_that_moved_to_another_loop_is_not_written_to_where_it_was",
)
edit(
    "a transaction is made in steps",
    statements,
    "write_all",
    "steps: Iterator[Any] = map(partial.__call__, checks, map(_make, [*begin, *statements, *commit]))",
    "steps = iter([check(call()) for check, call in zip(checks, [*begin, *statements, *commit])])",
    BETWEEN,
    also=(store,),
)
edit(
    "who has lost the turn undoes what another thread has begun",
    statements,
    "_undoing",
    "return [has_turn, ",
    "return [",
    PLACE + "test_who_has_lost_the_turn_touches_nothing_that_is_under_way",
)
edit(
    "who can't wait fails where the file is busy",
    store.LocalStore,
    "_attempt",
    "await asyncio.sleep(0)",
    "pass",
    PLACE + "test_who_can_not_wait_is_not_kept_waiting",
)
edit(
    "a direct write overtakes what waits",
    dispatch.Dispatcher,
    "is_free",
    "self._waiting.get(ns) or ns in self._workers or ",
    "",
    PLACE + "test_while_something_waits_or_is_handled_it_is_the_queues_turn",
)
edit(
    "nobody hears of a direct write",
    direct.InProcessDirect,
    "_see_to_fan_out",
    "self._schedule_fan_out(ns)",
    "pass",
    HEARD,
)
edit(
    "nobody hears of a direct write that was interrupted",
    direct.InProcessDirect,
    "finish_fan_out",
    "self._schedule_fan_out(ns)",
    "pass",
    PLACE + "test_who_was_interrupted_leaves_nobody_untold",
)
edit(
    "a batch of nothing tells nothing",
    dispatch.Dispatcher,
    "_handle_soon",
    "queue or ns in self._pending_fan_outs",
    "queue",
    HEARD,
)
IN_STORE = "tests/providers/memory/test_store.py::TestStore::"
edit(
    "a condition is not looked at",
    memory_store.MemoryStore,
    "commit",
    "self._check(write.key, write.expect)",
    "pass",
    IN_STORE + "test_expect_names_the_rev_it_has_now",
)
edit(
    "what a commit may name is not checked",
    writes,
    "checked_writes",
    "len({write.key for write in checked}) != len(checked)",
    "False",
    IN_STORE + "test_what_no_store_takes",
    also=(memory_store,),
)

# --- combining ------------------------------------------------------------------------------------

COMBINING = "tests/providers/local/test_combining.py::"
AT_ANY_MOMENT = COMBINING + "test_who_commits_may_end_at_any_moment"
edit(
    "what was withdrawn is committed all the same",
    progress.Progress,
    "while_asked",
    "if not self.taken:",
    "if True:",
    COMBINING + "test_who_waits_for_too_long_withdraws_and_it_is_not_done_later",
)
edit(
    "what is taken into a commit is not marked",
    combining.Records,
    "take_up",
    "self._reply(publication, TAKEN)",
    "pass",
    AT_ANY_MOMENT,
)
edit(
    "the head keeps no answers of what was combined",
    beside.DirectWriter,
    "_asked_by_others",
    "inbox_of(each.name)",
    '""',
    AT_ANY_MOMENT,
)
edit(
    "a head keeps no answers but those of its own commit",
    step,
    "_carried",
    "if not kept:",
    "if True:",
    COMBINING + "test_the_host_may_commit_before_anybody_looks",
)
edit("the answers in the head are not looked at", beside, "_fate", "in head.answers", "in ()", AT_ANY_MOMENT)
edit(
    "what came of it is taken for nothing when nobody can tell",
    beside,
    "_fate",
    "(PUBLISHED if head.zxid < target + CARRIED_ZXIDS else LOST)",
    "PUBLISHED",
    COMBINING + "test_what_nobody_can_tell_any_more_is_unknown",
)
edit(
    "what somebody else has committed is committed again",
    beside.DirectWriter,
    "_asked_by_others",
    "if each.target:",
    "if False:",
    COMBINING + "test_the_next_who_commits_does_not_do_again_what_is_done",
)
edit(
    "what an interrupted call has asked for is done later",
    beside.DirectWriter,
    "see_off",
    "if self._records.number and not self._records.is_loops:",
    "if False:",
    COMBINING + "test_who_is_interrupted_while_he_waits_leaves_nothing_to_be_done",
)
edit(
    "one request that fails fails all that is committed with it",
    writer.Writer,
    "_write_together",
    "for result in step.results",
    "for result in [max(step.results, key=lambda r: -r.code)] * len(step.results)",
    COMBINING + "test_each_is_judged_by_itself",
)
edit(
    "an event loop waits for other processes",
    beside.DirectWriter,
    "_with_others",
    "if is_loops_thread():",
    "if False:",
    COMBINING + "test_in_an_event_loop_nobody_waits",
)
edit(
    "who waits sleeps although somebody has rung",
    combining.Records,
    "wait",
    "BELL, bell,",
    "BELL, self.bell(),",
    COMBINING + "test_who_sleeps_is_woken",
)

# --- turns and datagrams --------------------------------------------------------------------------

edit(
    "nobody stands back for an event loop",
    combining.Records,
    "take",
    "(not self.number and self._stands_back())",
    "False",
    TURN + "test_who_comes_later_stands_back_for_an_event_loop_that_waits",
)
edit(
    "an event loop that is stopped is waited for",
    combining.Records,
    "_stands_back",
    "now - since < STOOD_BACK_S",
    "True",
    TURN + "test_an_event_loop_that_does_not_come_is_not_waited_for",
)
edit(
    "the lock is given back between two tries of a batch",
    dispatch.Dispatcher,
    "_work",
    "async with self._turn:",
    "if True:",
    DIRECT + "test_nobody_commits_before_it_is_known_what_became_of_a_batch",
)
edit(
    "who can't write says that all is well",
    turn.Turn,
    "check",
    "if monotonic() > until:",
    "if False:",
    DIRECT + "test_while_somebody_is_stopped_in_the_middle_of_a_commit_nobody_is_told_that_all_is_well",
)
edit(
    "who has no room is passed over",
    event_sockets.EventSockets,
    "deliver",
    "self._cut_off(number)\n",
    "pass\n",
    EVENTS + "test_who_has_no_room_for_long_is_cut_off_and_finds_that_out",
)
edit(
    "who is cut off does not notice",
    gateway.LocalGateway,
    "_see_whether_heard",
    "if self._socket.is_heard():",
    "if True:",
    EVENTS + "test_who_has_no_room_for_long_is_cut_off_and_finds_that_out",
)
edit(
    "for whom there is no room just now is told by nobody",
    event_sockets.EventSockets,
    "push",
    "if error.errno not in _GONE:",
    "if False:",
    EVENTS + "test_where_there_is_no_room_one_waits_for_it",
)
edit(
    "who lost its session to another process is not told",
    gateway.LocalInboxes,
    "drop",
    "await self._sockets.deliver([[inbox, None]])",
    "pass",
    EVENTS + "test_who_loses_its_session_to_another_process_is_told",
)
edit(
    "a killed process's socket stays",
    event_sockets,
    "remove_left",
    "os.unlink(path)",
    "pass",
    EVENTS + "test_what_killed_processes_left_is_removed",
    also=(host,),
)
edit(
    "a socket is anybody's",
    event_sockets.EventSocket,
    "open",
    "os.chmod(self._path, mode_of(self._place.directory))",
    "pass",
    EVENTS + "test_a_socket_is_for_those_who_share_the_deployment",
)
edit(
    "what is not told is written over",
    writer.Writer,
    "_write_directly",
    "self._fan_out.upto(ns) != cache.head.zxid or ",
    "",
    DIRECT + "test_who_is_interrupted_leaves_nobody_untold",
)
edit(
    "what was known before somebody else wrote is tried again",
    writer.Writer,
    "_again_after_conflict",
    "await (self._wake(ns, []) if wakes else self._look(ns))",
    "cache if cache is not None and not wakes else await self._wake(ns, [])",
    DIRECT + "test_they_take_turns_and_each_sees_what_the_others_wrote",
)
edit(
    "what one notes others do not know",
    progress.Progress,
    "note",
    "self.words[2 * slot + 1] = zxid",
    "pass",
    DIRECT + "test_what_one_notes_all_know",
)
