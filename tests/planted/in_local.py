"""Mistakes of the providers in a process and on a machine: the host, and the way to it."""

from __future__ import annotations

from fk_backend.functions import writer
from fk_backend.providers import direct, dispatch, memory, writes
from fk_backend.providers.local import (
    beside,
    combining,
    event_sockets,
    frames,
    host,
    link,
    outbox,
    progress,
    statements,
    store,
)
from fk_backend.providers.memory import store as memory_store

from .edited import Family

family = Family("local")
edit, swap = family.edit, family.swap

HOST = "tests/providers/local/test_host.py::"
LINK = "tests/providers/local/test_link.py::"
ABSENT = "tests/providers/local/test_absent.py::"
LIVES = "tests/providers/local/test_lifetimes.py::"
IN_MEMORY = "tests/providers/memory/test_deployment.py::"
RUBBISH = HOST + "test_who_sends_what_it_must_not_is_cut_off_and_nobody_else"
AGAIN = HOST + "test_what_is_not_acknowledged_comes_again_in_order_and_nothing_else"

# --- the host -------------------------------------------------------------------------------------

H = host.Host
O = outbox.Outbox  # noqa: E741
edit(
    "another process may be the heartbeat",
    H,
    "accept",
    "message_id(inbox, first), body)",
    "message_id(inbox, first), body, internal=inbox.startswith(SENDER))",
    HOST + "test_no_other_process_is_the_heartbeat",
)
edit(
    "the functions' own messages are all the heartbeat's",
    H,
    "send",
    "internal=message_id.startswith(SENDER)",
    "internal=True",
    HOST + "test_no_other_process_is_the_heartbeat",
)
edit(
    "the heartbeat's messages are anybody's",
    H,
    "send",
    "internal=message_id.startswith(SENDER)",
    "internal=False",
    HOST + "test_no_other_process_is_the_heartbeat",
)
edit(
    "what is answered is done again",
    H,
    "accept",
    "first >= self._outbox.upto.get(inbox, 0)",
    "True",
    HOST + "test_what_is_answered_is_not_done_again",
)
edit("a process that is back gets nothing again", H, "listen", "self._outbox.after(inbox, last)", "()", AGAIN)
edit(
    "a process that is back gets everything again",
    H,
    "listen",
    "self._outbox.after(inbox, last)",
    "list(self._outbox._kept.get(inbox, ()))",
    LINK + "test_what_came_before_is_dropped_and_what_is_answered_is_not_sent_again",
    HOST + "test_what_has_come_does_not_come_again",
)
edit(
    "an acknowledgement is not heard",
    H,
    "_handle",
    "self._outbox.acknowledge(",
    "(",
    HOST + "test_what_is_acknowledged_is_kept_for_nobody",
)
edit(
    "what nobody hears is not kept",
    H,
    "push",
    "if ear is None or ear.peer is not None",
    "if ear is not None and ear.peer",
    AGAIN,
)
edit(
    "what is heard in the host's process is kept",
    H,
    "push",
    "if ear is None or ear.peer is not None",
    "if True",
    HOST + "test_what_is_heard_in_the_hosts_own_process_is_not_kept",
)
edit(
    "what is for the heartbeat is kept",
    H,
    "push",
    "if is_functions(inbox)",
    "if False",
    HOST + "test_what_is_heard_in_the_hosts_own_process_is_not_kept",
)
edit(
    "a process that ends takes everybody's inboxes along",
    H,
    "_closed",
    " if ear.peer is peer",
    "",
    HOST + "test_a_process_that_ends_takes_no_other_ones_inbox_along",
)
edit("a process that ended is still pushed to", H, "_closed", "del self._subscribers[inbox]", "pass", AGAIN)
edit(
    "what was given up is kept",
    H,
    "unsubscribe",
    "self._outbox.forget(inbox)",
    "pass",
    HOST + "test_what_is_given_up_is_forgotten",
)
edit(
    "what may be asked for again is forgotten",
    H,
    "unsubscribe",
    "if keep:",
    "if False:",
    HOST + "test_what_is_given_up_is_forgotten",
)
edit(
    "who was moved away from is not told",
    H,
    "drop",
    "if ear is not None",
    "if False",
    HOST + "test_what_is_given_up_is_forgotten",
)
edit("a process may name anything an inbox", host, "_inbox", "raise ValueError", "return value or ValueError", RUBBISH)
edit("a process may number by anything", host, "_number", "raise ValueError", "return value or ValueError", RUBBISH)
edit(
    "a process may send to what is no namespace",
    host,
    "_namespace",
    "raise ValueError",
    "return value or ValueError",
    RUBBISH,
)
edit(
    "a frame of no known kind is overlooked",
    H,
    "_handle",
    'raise ValueError("unknown frame %r" % (kind,))',
    "pass",
    RUBBISH,
)
edit(
    "what comes for the dead is kept",
    H,
    "push",
    " or inbox in self._outbox.given_up",
    "",
    ABSENT + "test_nothing_is_kept_for_a_dead_process",
)
edit(
    "what was for the dead stays when they are given up",
    O,
    "give_up",
    "self._lose(inbox)",
    "pass",
    ABSENT + "test_nothing_is_kept_for_a_dead_process",
)
edit(
    "the next host does not know who was given up",
    O,
    "give_up",
    "self._append(",
    "(",
    ABSENT + "test_what_was_given_up_long_ago_is_no_longer_noted",
    ABSENT + "test_who_comes_too_late_is_told_and_may_not_go_on",
)
edit(
    "each host waits anew for who was absent already",
    H,
    "start",
    "max(ABSENT_S - waited_s, min(BACK_S, ABSENT_S))",
    "ABSENT_S",
    ABSENT + "test_hosts_that_end_sooner_than_that_one_after_the_other_do_not_make_it_more",
)
edit(
    "who is back in time is given up later",
    H,
    "_give_up",
    "if self._absent.get(inbox) == since",
    "",
    ABSENT + "test_who_was_back_in_time_is_not_given_up_later",
)
edit(
    "who comes too late goes on as if nothing was lost",
    H,
    "listen",
    "if inbox in self._outbox.given_up",
    "if False",
    ABSENT + "test_who_comes_too_late_is_told_and_may_not_go_on",
)
edit(
    "what who was given up sends again is done again",
    H,
    "accept",
    "inbox not in self._outbox.given_up and ",
    "",
    ABSENT + "test_who_comes_too_late_is_told_and_may_not_go_on",
)
edit(
    "the host lock is taken twice in one process",
    host.Lock,
    "acquire",
    "if path in _held",
    "if False",
    LIVES + "test_a_process_takes_the_host_lock_once",
)
edit(
    "the host lock goes by the name that it is asked for by",
    host.Lock,
    "acquire",
    "path = os.path.realpath(path)",
    "path = os.path.abspath(path)",
    LIVES + "test_a_process_takes_the_host_lock_once",
)
edit(
    "the host lock is not given back",
    host.Lock,
    "release",
    "_held.discard(self._path)",
    "pass",
    LIVES + "test_a_process_takes_the_host_lock_once",
)
edit(
    "only one namespace is recovered",
    store,
    "namespaces",
    "found.append(ns)",
    "return [ns]",
    HOST + "test_the_next_host_finds_every_namespace",
    also=(host,),
)
edit(
    "namespaces are jumped over",
    store,
    "namespaces",
    'ns + ";"',
    'ns + "~"',
    HOST + "test_the_next_host_finds_every_namespace",
    also=(host,),
)
edit(
    "nobody looks after what the last host left",
    H,
    "start",
    "self._functions.watch(ns)",
    "pass",
    HOST + "test_the_next_host_finds_every_namespace",
)
edit(
    "anybody on the machine may come in",
    host,
    "listening_socket",
    "mode_of(place.directory)",
    "0o666",
    HOST + "test_the_door_is_the_users_own",
)

# --- the way to it --------------------------------------------------------------------------------

L = link.Link
edit(
    "what was heard is heard again",
    link.Listening,
    "hear",
    "if seq <= self.last",
    "if False",
    LINK + "test_what_came_before_is_dropped_and_what_is_answered_is_not_sent_again",
)
edit(
    "what is answered is sent again",
    link.Listening,
    "hear",
    "if message.first >= upto",
    "",
    LINK + "test_what_came_before_is_dropped_and_what_is_answered_is_not_sent_again",
)
edit(
    "what is not answered is not sent again",
    link.Listening,
    "hear",
    "message.first >= upto",
    "message.first > upto + 1",
    LINK + "test_what_came_before_is_dropped_and_what_is_answered_is_not_sent_again",
    LINK + "test_the_next_host_is_told_who_is_here_and_then_sent_what_is_not_answered_in_order",
)
edit(
    "a message is only sent, not kept",
    L,
    "send",
    "listening.unanswered.append",
    "(lambda message: None)",
    LINK + "test_a_message_is_kept_while_there_is_no_host",
)
edit(
    "the next host is not told what was heard",
    L,
    "_introduce",
    "self._inboxes[inbox].last] for",
    "0] for",
    LINK + "test_the_next_host_is_told_who_is_here_and_then_sent_what_is_not_answered_in_order",
)
edit(
    "what is sent again comes in another order",
    L,
    "_introduce",
    "in self._inboxes[inbox].unanswered if",
    "in self._inboxes[inbox].unanswered[::-1] if",
    LINK + "test_the_next_host_is_told_who_is_here_and_then_sent_what_is_not_answered_in_order",
)
edit(
    "what was heard is acknowledged again and again",
    L,
    "_acknowledge",
    "listening.acknowledged = listening.last",
    "pass",
    LINK + "test_what_was_heard_is_acknowledged_once",
)
edit(
    "every inbox is lost with one",
    L,
    "_received",
    "listening = self._inboxes.get(rest[0])",
    "self._notify_lost('x'); listening = None",
    LINK + "test_each_inbox_hears_its_own",
)
edit(
    "an inbox that is to be kept is dropped",
    L,
    "unsubscribe",
    " and not keep",
    "",
    LINK + "test_an_inbox_that_is_given_up_is_dropped_unless_it_is_kept",
)
edit(
    "the end of the last host is the next one's",
    L,
    "_lost_peer",
    "if peer is self._peer",
    "if True",
    LINK + "test_the_end_of_a_host_that_was_left_is_no_end",
)
edit(
    "a check waits for a host that is gone",
    L,
    "_is_gone",
    "waiting.set_exception",
    "(lambda error: None)",
    LINK + "test_a_check_is_answered_by_its_own_ping_and_ends_with_the_host",
)
edit(
    "any answer is every check's",
    L,
    "_received",
    "self._pings.get(number)",
    "next(iter(self._pings.values()))",
    LINK + "test_a_check_is_answered_by_its_own_ping_and_ends_with_the_host",
)
edit(
    "a frame that is cut is read",
    frames.Frames,
    "data_received",
    "if len(buffer) - start - 4 < size:",
    "if False:",
    LINK + "test_frames_come_whole_and_in_order_however_they_are_cut",
)
edit(
    "a frame is as long as it likes",
    frames.Frames,
    "data_received",
    "size > MAX_FRAME_BYTES",
    "False",
    LINK + "test_what_is_no_frame_ends_the_connection",
)
edit(
    "what is no frame stops its reader",
    frames.Frames,
    "data_received",
    "except codec.Malformed",
    "except ZeroDivisionError",
    LINK + "test_what_is_no_frame_ends_the_connection",
)
edit(
    "who does not read is waited for",
    frames.Frames,
    "pause_writing",
    "self.hang_up()",
    "pass",
    LINK + "test_who_does_not_read_is_cut_off",
)

# --- in a process ---------------------------------------------------------------------------------

M = memory.MemoryDeployment
edit(
    "who was moved away from in this process is not told",
    M,
    "drop",
    "if ear is not None",
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
    "while_idle",
    "if self.taken:",
    "if False:",
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
    "finish_fan_out",
    "if records.number:",
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
    "several who write keep the host at work for ever",
    beside.DirectWriter,
    "_leaves_it",
    " and not records.others_wait()",
    "",
    COMBINING + "test_the_host_is_left_a_message_at_once_unless_several_write",
)
edit(
    "who waits sleeps although somebody has rung",
    combining.Records,
    "wait",
    "BELL, bell,",
    "BELL, self.bell(),",
    COMBINING + "test_who_sleeps_is_woken",
)

# --- beside the host ------------------------------------------------------------------------------

BESIDE = "tests/providers/local/test_beside.py::"
P = progress.Progress
HP = progress.HostProgress
edit(
    "what the host begins with is overlooked within a commit",
    store.LocalStore,
    "commit",
    "self.has_turn, may)",
    "self.has_turn)",
    BESIDE + "test_while_the_host_has_something_it_is_the_hosts_turn",
)
edit(
    "the host does not say that it begins with something",
    dispatch.Dispatcher,
    "accept",
    "self._note(ns)",
    "pass",
    BESIDE + "test_while_the_host_has_something_it_is_the_hosts_turn",
)
edit(
    "the host does not say that it is done",
    dispatch.Dispatcher,
    "_work",
    "self._note(ns)",
    "pass",
    BESIDE + "test_they_take_turns_and_each_sees_what_the_others_wrote",
)
edit(
    "what is written beside the host is told to nobody",
    beside.LocalDirect,
    "_schedule_fan_out",
    "self._loop.call_soon_threadsafe(self._tell, ns)",
    "pass",
    BESIDE + "test_what_may_have_been_done_is_told",
)
EVENTS = "tests/providers/local/test_event_sockets.py::"
E = event_sockets
edit(
    "for whom there was no room is told by nobody",
    E.EventSockets,
    "push",
    'raise Unavailable("%s: %s" % (path, error)) from error',
    "pass",
    EVENTS + "test_where_there_is_no_room_the_host_tells",
)
edit(
    "who is heard at no socket is told by nobody",
    E.EventSockets,
    "push",
    'raise Unavailable("%s is heard at no socket" % inbox)',
    "continue",
    EVENTS + "test_what_is_not_sent_by_datagrams",
)
edit(
    "a killed process's socket stays",
    E,
    "remove_left",
    "os.unlink(path)",
    "pass",
    EVENTS + "test_what_killed_processes_left_is_removed_by_the_next_host",
    also=(host,),
)
edit(
    "a socket is anybody's",
    E.EventSocket,
    "__init__",
    "os.chmod(self._path, mode_of(place.directory))",
    "pass",
    EVENTS + "test_a_socket_is_for_those_who_share_the_deployment",
)
edit(
    "what a killed process wrote is told to nobody",
    H,
    "_look_after",
    "self._functions.schedule_fan_out(ns)",
    "pass",
    BESIDE + "test_who_is_interrupted_leaves_nobody_untold",
)
edit(
    "a new host does not wait for who is in the middle of a commit",
    H,
    "start",
    "await self.store.fence()",
    "pass",
    BESIDE + "test_the_next_host_waits_for_who_began_and_lets_nobody_begin_for_the_last_one",
)
edit(
    "a new host leaves the words of the last one",
    progress,
    "_made",
    "words[2 * slot] = 0",
    "pass",
    BESIDE + "test_what_another_host_left_says_nothing",
)
edit(
    "what another host had told is taken for told",
    HP,
    "allot",
    "0 if upto == NOT_KNOWN else upto ^ self._stamp",
    "self.words[2 * slot + 1] if upto == NOT_KNOWN else upto ^ self._stamp",
    BESIDE + "test_what_another_host_left_says_nothing",
)
edit(
    "what is pushed and not kept is taken for told",
    HP,
    "note",
    "if self._saved():",
    "if True:",
    BESIDE + "test_a_host_whose_pushes_are_not_kept_lets_nobody_write",
)
edit(
    "others go on while pushes are not kept",
    HP,
    "set_idle",
    " and self._saved()",
    "",
    BESIDE + "test_a_host_whose_pushes_are_not_kept_lets_nobody_write",
)
edit(
    "what is not told is written over",
    writer.Writer,
    "_write_directly",
    "self._fan_out.upto(ns) != cache.head.zxid or ",
    "",
    BESIDE + "test_who_is_interrupted_leaves_nobody_untold",
)
edit(
    "what was known before somebody else wrote is tried again",
    writer.Writer,
    "_again_after_conflict",
    "await (self._wake(ns, []) if wakes else self._look(ns))",
    "cache if cache is not None and not wakes else await self._wake(ns, [])",
    BESIDE + "test_they_take_turns_and_each_sees_what_the_others_wrote",
)
edit(
    "a host that nobody can write by says that it serves",
    H,
    "_pong",
    "if self.is_locked_out:",
    "if False:",
    BESIDE + "test_while_somebody_is_stopped_in_the_middle_of_a_commit_nobody_is_told_that_all_is_well",
)
