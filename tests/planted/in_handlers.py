"""Mistakes of the functions beside those that the simulation finds: who may ask what, and the queue of a process."""

from __future__ import annotations

from fk_backend import layout, mac, messages
from fk_backend.core import apply, sessions
from fk_backend.core.requests import Attach, Expire
from fk_backend.functions import heartbeat, words, writer
from fk_backend.providers import dispatch, memory, ticking
from fk_backend.writer import distributor, large, loading, senders, step, watch

from .edited import Family

family = Family("handlers")
edit, swap = family.edit, family.swap

HERE = "tests/functions/test_authority.py::"
DISPATCH = "tests/functions/test_dispatch.py::"
FORGED = "tests/functions/test_forged.py::"
STRANGE = FORGED + "test_a_registration_that_is_none_holds_up_nobody"
OWN_SESSION = HERE + "test_a_request_needs_the_session_that_lives_at_its_connection"
BLOB = HERE + "test_a_blob_is_named_by_clients_of_its_namespace_alone"
INTERNAL = HERE + "test_nobody_else_may_ask_what_the_heartbeat_asks"

SENDERS = "tests/functions/test_senders.py::"
FORGERY = SENDERS + "test_a_forged_message_changes_nothing_and_takes_nobodys_number"
CODE = SENDERS + "test_nothing_but_the_key_makes_the_code"

# --- who sent it ----------------------------------------------------------------------------------

SENDER = "is_tagged(body, session.password_hash) and is_inbox_of(message.inbox, session.password_hash)"
edit("anybody may send in anybody's name", senders, "is_sender", SENDER, "True", FORGERY, also=(writer,))
edit(
    "a session may name anybody's inbox",
    senders,
    "is_sender",
    SENDER,
    "is_tagged(body, session.password_hash)",
    FORGERY,
    also=(writer,),
)
edit(
    "a session may be opened at anybody's inbox",
    senders,
    "is_sender",
    "is_inbox_of(message.inbox, request.password_hash)",
    "True",
    FORGERY,
    also=(writer,),
)
edit(
    "a session may be attached to at anybody's inbox",
    senders,
    "is_sender",
    "is_inbox_of(message.inbox, key_of(request.password))",
    "True",
    FORGERY,
    also=(writer,),
)
edit(
    "who names no session is answered at the inbox",
    writer.Writer,
    "_sent_by_sessions",
    "encode_note(EndedNote(message.session, True))",
    "answer_notes([(message.inbox, message.first, [(Error.SESSION_EXPIRED, None, 0)])], "
    "trigger_log_of(0, 0, []))[0].body",
    FORGERY,
)
edit(
    "a session is gone for who has not looked lately",
    writer.Writer,
    "_sent_by_sessions",
    "await self._confirm(ns, cache)",
    "pass",
    SENDERS + "test_what_was_refused_as_forged_is_not_looked_up_in_a_namespace_that_moved_on",
)
edit("the code is of a part", mac, "tag", "payload,", "payload[:8],", CODE, also=(messages,))

# --- who may ask what -----------------------------------------------------------------------------

edit(
    "anybody may ask what the heartbeat asks",
    writer,
    "refusal",
    "isinstance(request, INTERNAL) and not internal",
    "False",
    INTERNAL,
)
edit(
    "only the first request is looked at",
    writer,
    "refusal",
    "in message.requests:",
    "in message.requests[:1]:",
    INTERNAL,
)
edit(
    "who calls itself the heartbeat is it",
    writer,
    "refusal",
    "if not is_namespace(ns):",
    "internal = internal or message.inbox.startswith('heartbeat')\n    if not is_namespace(ns):",
    INTERNAL,
)
edit(
    "a client may call itself what it likes",
    writer,
    "refusal",
    "not internal and not is_inbox(message.inbox)",
    "False",
    FORGED + "test_inboxes_that_are_no_clients",
)
swap(
    "anybody may delete what is due", ((writer, "INTERNAL", tuple(set(messages.INTERNAL) - {messages.Reap})),), INTERNAL
)
swap(
    "anybody may have the heartbeat rest",
    ((writer, "INTERNAL", tuple(set(messages.INTERNAL) - {messages.StopTicking})),),
    INTERNAL,
)
edit(
    "a session is asked for at anybody's connection",
    writer,
    "refusal",
    "request.inbox != message.inbox",
    "False",
    HERE + "test_a_session_is_asked_for_by_its_own_connection_alone",
)
edit("a session is used from any connection", apply, "_caller", "session.inbox != call.inbox", "False", OWN_SESSION)
edit(
    "any password opens a session again",
    sessions,
    "attach",
    "not hmac.compare_digest(given, session.password_hash)",
    "False",
    HERE + "test_a_session_is_attached_to_by_its_password_alone",
    also=((apply._OF_NONE, Attach),),
)
edit(
    "a blob of another namespace may be named",
    large,
    "foreign",
    "prefix(UPLOADS, ns)",
    "UPLOADS + '/'",
    BLOB,
    also=(writer,),
)
edit(
    "a namespace's name may be the beginning of another's",
    large,
    "foreign",
    "prefix(UPLOADS, ns)",
    "prefix(UPLOADS, ns)[:-1]",
    BLOB,
    also=(writer,),
)
edit(
    "a multi may name any blob",
    large,
    "foreign",
    "request.ops if isinstance(request, Multi) else (request,)",
    "(request,)",
    BLOB,
    also=(writer,),
)
edit("a create may name any blob", large, "foreign", "(Create, SetData)", "SetData", BLOB, also=(writer,))
edit("a set may name any blob", large, "foreign", "(Create, SetData)", "Create", BLOB, also=(writer,))
edit(
    "only the first request is looked at for blobs",
    writer,
    "refusal",
    "if foreign(ns, request)",
    "if request is message.requests[0] and foreign(ns, request)",
    BLOB,
)
edit(
    "a blob's name is longer than any can be",
    large,
    "foreign",
    "<= MAX_KEY_BYTES",
    "<= 1 << 30",
    FORGED + "test_what_a_client_may_not_send",
    also=(writer,),
)
edit(
    "a blob is named where there are none",
    large,
    "keep_large",
    "raise Refused(",
    "return (",
    HERE + "test_where_there_are_no_blobs_none_can_be_named",
    also=(step,),
)
swap(
    "a namespace may have any name",
    ((writer, "is_namespace", lambda ns: True),),
    HERE + "test_what_is_sent_to_what_is_no_namespace_is_not_done",
)
edit(
    "what one connection has done another one has done",
    writer,
    "_entries",
    "upto.get(inbox, 0)",
    "max(upto.values(), default=0)",
    HERE + "test_numbers_are_of_one_connection",
)
edit(
    "a message that is no message ends its batch",
    writer,
    "_decoded",
    "if why:",
    "if why: break\n        if why:",
    INTERNAL,
)

# --- the queue of a process -----------------------------------------------------------------------

D = dispatch.Dispatcher
AGAIN = DISPATCH + "test_what_is_sent_again_while_the_writer_is_at_it_is_not_handed_over_again"
edit(
    "a message is forgotten before it is handled",
    D,
    "_work",
    "await self._handle(ns, batch)\n",
    "self._known.difference_update(waiting.message_id for waiting in batch); await self._handle(ns, batch)\n",
    AGAIN,
)
edit("a message that waits is taken again", D, "accept", "if message_id in self._known", "if False", AGAIN)
edit(
    "messages are remembered for ever",
    D,
    "_work",
    "self._known.difference_update(",
    "list(",
    DISPATCH + "test_nothing_is_remembered_of_what_is_done",
)
edit(
    "every message is vouched for",
    D,
    "accept",
    "Delivery(body, internal, position)",
    "Delivery(body, True, position)",
    DISPATCH + "test_what_is_handed_over_is_vouched_for_one_by_one",
)
edit(
    "the heartbeat's messages are not vouched for",
    memory.MemoryDeployment,
    "send",
    'internal=message_id.startswith("heartbeat:")',
    "internal=False",
    "tests/providers/memory/test_deployment.py::test_the_heartbeat_is_known_by_what_it_sends",
)
edit(
    "too much is taken",
    D,
    "accept",
    "len(queue) >= MAX_WAITING",
    "False",
    DISPATCH + "test_too_much_is_refused_definitely_and_taken_later",
)
edit(
    "what came last is handled first",
    D,
    "_work",
    "queue.popleft()",
    "queue.pop()",
    DISPATCH + "test_order_is_the_order_of_arrival_however_it_is_cut",
)
edit(
    "a store that is out of reach counts as a bug",
    D,
    "_attempt",
    "except (Unavailable, Unknown)",
    "except ZeroDivisionError",
    DISPATCH + "test_a_writer_that_is_not_reached_is_tried_for_as_long_as_it_takes",
)
edit(
    "a bug is tried for ever",
    D,
    "_attempt",
    "failures >= TRIES",
    "False",
    DISPATCH + "test_a_bug_is_met_so_often_and_no_more",
)
edit(
    "who sent poison is told once, whether that works or not",
    D,
    "_tell",
    "while True:",
    "for _ in '1':",
    DISPATCH + "test_that_the_sender_can_not_be_told_now_does_not_lose_it",
)
edit(
    "halted functions take messages",
    D,
    "accept",
    "if self.halted",
    "if False",
    DISPATCH + "test_a_halted_dispatcher_takes_nothing_and_finishes_nothing_by_halves",
)
edit(
    "a bug ends the heartbeat",
    ticking.Ticking,
    "_tick",
    "except Exception:",
    "except ZeroDivisionError:",
    DISPATCH + "test_a_heartbeat_that_fails_once_goes_on",
)

# --- fan-out, heartbeat, loading ------------------------------------------------------------------

edit(
    "a failure after the commit is the message's",
    writer.Writer,
    "_tell",
    "raise Unknown(",
    "raise ValueError(",
    DISPATCH + "test_a_failure_after_the_commit_is_never_the_messages_fault",
)
edit(
    "a session that closed is told that it expired",
    distributor,
    "distribute",
    "if e.expired",
    "if True",
    "tests/functions/test_heartbeat.py::test_a_close_leaves_nothing_behind_and_is_no_expiry",
    also=(writer,),
)
edit(
    "a note is as large as who it is for likes",
    watch,
    "_parts",
    "chars > NOTE_CHARS",
    "False",
    FORGED + "test_a_fan_out_to_one_inbox_is_cut_to_what_a_queue_takes",
)
edit(
    "an answer that no inbox takes is tried for ever",
    writer.Writer,
    "_answer",
    "len(note.body) > most",
    "False",
    FORGED + "test_an_answer_that_no_inbox_takes_is_a_refusal",
)
edit(
    "a registration that nobody understands is left to stop the next one",
    watch,
    "_registration",
    "number is None or not isinstance(found, layout.Registered)",
    "False",
    STRANGE,
)
edit(
    "a registration that nobody understands stays for ever",
    watch,
    "_ignore",
    "if layout.interest_of(key) is None",
    "if False",
    STRANGE,
)
edit(
    "what somebody else may mean is removed",
    watch,
    "_ignore",
    "if layout.interest_of(key) is None",
    "",
    STRANGE,
)
edit(
    "a full disk stops the fan-out",
    distributor,
    "distribute",
    "except StorageFull",
    "except ZeroDivisionError",
    "tests/functions/test_writer.py::test_a_registration_that_nobody_can_drop_does_not_hold_up_anybody",
    also=(writer,),
)
edit(
    "a counter that counts too far keeps the dead alive",
    layout,
    "count_of",
    "item.rev % _COUNTS",
    "item.rev",
    FORGED + "test_a_counter_beyond_int64_does_not_keep_the_dead_alive",
)
edit(
    "an expiry is asked for at each tick",
    heartbeat.Heartbeat,
    "tick",
    "watched.leases.update(",
    "dict().update(",
    "tests/functions/test_heartbeat.py::test_an_expiry_is_asked_for_once_while_the_queue_takes_its_time",
)
edit(
    "an expiry says nothing of the count it judged by",
    heartbeat.Heartbeat,
    "_expiries",
    "Expire(session, count)",
    "Expire(session, count + 1)",
    "tests/functions/test_heartbeat.py::test_an_expiry_says_by_which_count_it_was_judged",
)
edit(
    "an expiry counts although the client gave a sign",
    sessions,
    "expire",
    " or view.snapshot.beats[session.id] != request.beats",
    "",
    "tests/functions/test_heartbeat.py::test_an_expiry_is_void_if_the_counter_moved",
    also=((apply._OF_NONE, Expire),),
)
edit(
    "a key that the store can't take is put",
    loading,
    "refusal_reason",
    "not all(_is_key(write.key, limits) for write in writes)",
    "False",
    "tests/functions/test_limits.py::test_a_key_that_can_not_be_is_refused",
    also=(step,),
)
edit(
    "an item that the store can't take is put",
    loading,
    "refusal_reason",
    "max(sizes) > limits.item_bytes",
    "False",
    "tests/functions/test_limits.py::test_an_item_that_can_not_fit_is_refused",
    also=(step,),
)
edit(
    "more is put at once than the store takes",
    loading,
    "refusal_reason",
    "len(writes) > limits.writes or ",
    "",
    "tests/functions/test_limits.py::test_a_batch_is_cut_into_what_the_store_takes",
    also=(step,),
)
DIRECT = "tests/functions/test_direct.py::"
edit(
    "a direct write is taken for told, whoever watches",
    writer.Writer,
    "is_fanned_out",
    " or not await push_events(self._ports, ns, head)",
    "",
    DIRECT + "test_who_watches_is_told_by_the_next_batch",
)
edit(
    "what a direct write left to be told waits for others",
    writer.Writer,
    "_write_directly",
    "await self._finish_fan_out(ns, cache)",
    "pass",
    DIRECT + "test_what_one_left_to_be_told_is_told_before_the_next",
)
edit(
    "a direct write swallows what a signal's handler raises",
    writer.Writer,
    "_worked_out",
    "if not _is_of_here(error):",
    "if False:",
    DIRECT + "test_a_bug_is_left_to_the_queue_and_an_interruption_is_not",
)
INVOKED = "tests/functions/test_invoked.py::"
edit(
    "who invokes the writer is taken at its word",
    writer.Writer,
    "_work_out",
    "if not await self._is_its_own(ns, cache, received):",
    "if False:",
    INVOKED + "test_what_nobody_may_send_so_is_refused",
)
edit(
    "whatever a session may ask for is done by an invocation",
    writer,
    "_direct",
    " or not isinstance(message.requests[0], INVOKED)",
    "",
    INVOKED + "test_what_nobody_may_send_so_is_refused",
)
edit(
    "anybody may invoke the writer for a session at anybody's inbox",
    writer.Writer,
    "_is_its_own",
    "return received.is_ours or is_sender(message, received.delivery.body, None)",
    "return True",
    INVOKED + "test_a_session_asks_at_its_own_inbox_alone",
)
edit(
    "an invocation leaves ephemerals of a session that it ended to nobody",
    writer.Writer,
    "_work_out",
    "if step.head.closing:",
    "if False:",
    INVOKED + "test_an_end_that_takes_several_commits_is_left_to_what_comes_again",
)
edit(
    "an invocation forgets what is done of a message",
    writer.Writer,
    "_work_out",
    "unfinished(cache.head)",
    "{}",
    INVOKED + "test_what_is_cut_is_not_begun_anew",
)
edit(
    "an invocation forgets that a promise was kept",
    step,
    "unfinished",
    "if head.reserved is not None and head.reserved.inbox:",
    "if False:",
    INVOKED + "test_what_is_done_of_a_message_that_comes_again_is_kept",
    also=(writer,),
)
edit(
    "what failed in the queue is judged by what was invoked since",
    writer.Writer,
    "_write",
    "if not step.writes and self._shares and cache.head.zxid:",
    "if False:",
    INVOKED + "test_what_failed_in_the_queue_is_not_judged_anew",
)
edit(
    "an invocation makes the first ephemeral, and nobody looks after it if the heartbeat is not woken",
    writer.Writer,
    "_work_out",
    "if step.begins:",
    "if False:",
    INVOKED + "test_what_has_to_begin_is_left_to_what_comes_again",
)
edit(
    "what somebody else's fan-out failed with is an invocation's own",
    writer.Writer,
    "write_for",
    "await _definite(self._wake(ns, [received]))",
    "await self._wake(ns, [received])",
    INVOKED + "test_what_is_unknown_before_its_commit_is_definite",
)
edit(
    "a batch that lost to an invocation waits until it comes again",
    writer.Writer,
    "__call__",
    "TRIES if self._shares else SINGLE_TRIES",
    "1",
    INVOKED + "test_who_is_always_second_leaves_it_to_the_queue_which_tries_again_at_once",
)
LATE = "tests/functions/test_stale_writer.py::test_a_queue_that_was_made_anew_begins_with_smaller_numbers"
edit(
    "what is done is done again by a writer that is late",
    writer.Writer,
    "_handle",
    "if not cache.head.handled.covers(each.delivery.position)",
    "",
    LATE,
)
edit("what a new queue numbers is done already", messages.Position, "covers", "> FAR_APART_MS", "> 1 << 60", LATE)
edit(
    "a word tells of sessions of other namespaces",
    words,
    "tally",
    'prefix = ns + ":"',
    'prefix = ""',
    "tests/functions/test_words.py::test_words_tell_of_one_namespace",
)
