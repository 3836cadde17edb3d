"""Mistakes of the functions on AWS: what Lambda hands over, the sweep, secrets and permissions."""

from __future__ import annotations

from fk_backend.providers.aws import (
    handlers,
    policies,
    sweep,
    template,
    template_data,
    template_functions,
    ticks,
)

from .edited import Family

family = Family("aws functions")
edit, swap = family.edit, family.swap

HANDLER = "tests/aws/unit/test_handlers.py::"
SWEEP = "tests/aws/unit/test_sweep.py::"
SECRET = "tests/aws/unit/test_secrets.py::"

# --- what Lambda hands over -----------------------------------------------------------------------

F = handlers.Functions
ORDERED = HANDLER + "test_a_message_is_the_heartbeats_if_it_was_ordered"
PROOF = HANDLER + "test_who_asks_for_a_session_has_to_show_that_it_may"
edit(
    "who calls a message the heartbeat's is the heartbeat",
    F,
    "_delivery",
    " and await self._service.orders.gave(ns, sent_id)",
    "",
    ORDERED,
)
edit("an order counts in every namespace", ticks.Orders, "gave", "memory_key(ns)", 'memory_key("other")', ORDERED)
edit(
    "any order vouches for any message",
    ticks.Orders,
    "gave",
    "sent_id in Memory.of(item).orders",
    "bool(Memory.of(item).orders)",
    ORDERED,
)
edit(
    "orders are remembered for ever",
    ticks.Memory,
    "ordering",
    "self.orders[-ORDERS_KEPT_S:]",
    "self.orders",
    HANDLER + "test_orders_are_kept_where_clients_can_not_write_and_not_for_ever",
)
edit("a session is attached to without a proof", F, "_admitted", "(Open, Attach)", "Open", PROOF)
edit("a session is opened without a proof", F, "_admitted", "(Open, Attach)", "Attach", PROOF)
edit(
    "a session behind something else needs no proof",
    F,
    "_admitted",
    "for request in message.requests if",
    "for request in message.requests[:1] if",
    PROOF,
)
edit("whoever has an item proves it for everybody", F, "_admitted", "return item is not None", "return True", PROOF)
edit(
    "a proof for one namespace is one for all",
    F,
    "_admitted",
    "hello_key(ns, message.inbox)",
    'hello_key("other", message.inbox)',
    PROOF,
)
edit(
    "a client says what address it has",
    F,
    "_admitted",
    "request.address is not None",
    "False",
    HANDLER + "test_nobody_says_what_address_or_certificate_it_has",
)
edit("a message has no number", handlers, "_position", 'int(attributes.get("SequenceNumber", 0))', "0", ORDERED)
edit(
    "nobody knows when a message was sent",
    handlers,
    "_position",
    ', int(attributes.get("SentTimestamp", 0))',
    "",
    ORDERED,
)
edit(
    "what is no base64 stops the writer",
    handlers,
    "_body",
    "except ValueError",
    "except ZeroDivisionError",
    HANDLER + "test_what_is_no_text_of_bytes_is_no_message",
)
edit(
    "what is no base64 is kept as nothing",
    F,
    "_set_aside",
    'body or record["body"].encode()',
    "body",
    HANDLER + "test_what_is_no_text_of_bytes_can_be_set_aside",
)
edit(
    "what is behind a failure overtakes it",
    F,
    "_write",
    "for rest in batches[position:] for record in rest",
    "for record in batch",
    HANDLER + "test_what_was_tried_before_is_tried_one_by_one_and_what_is_behind_a_failure_waits",
)
edit(
    "one group's failure is another one's",
    F,
    "writer",
    "for message_id in ids]",
    "for message_id in ids] and [record['messageId'] for record in records if any(failed)]",
    HANDLER + "test_groups_are_independent_and_a_batch_is_one",
)
edit(
    "a group waits for another one",
    F,
    "writer",
    "await asyncio.gather(*(self._write_in(seconds, ns, group) for ns, group in groups.items()))",
    "[await self._write_in(seconds - 0.05 * n, *each) for n, each in enumerate(groups.items())]",
    HANDLER + "test_a_group_that_is_stuck_holds_up_no_other_one",
)
edit(
    "a group that is stuck takes all of the function's time",
    F,
    "_write_in",
    "records), seconds)",
    "records), None)",
    HANDLER + "test_a_group_that_is_stuck_holds_up_no_other_one",
)
edit(
    "what is the cloud's trouble is set aside",
    F,
    "_write",
    "and not trouble",
    "",
    HANDLER + "test_trouble_of_the_cloud_is_nobodys_fault_however_long_it_takes",
)
edit(
    "a bug holds up its namespace",
    F,
    "_write",
    ">= BUG_TRIES",
    ">= 1000",
    HANDLER + "test_what_meets_a_bug_again_and_again_is_set_aside_and_nothing_else",
)
edit(
    "a sender is told before its message is kept",
    F,
    "_set_aside",
    "await self._keep(",
    "await self._service.queues.push(answer_notes([(decode(body).inbox, 0, [0])], trigger_log_of(0, 0, [])));"
    "await self._keep(",
    HANDLER + "test_a_dead_letter_is_kept_before_its_sender_is_told",
)
edit(
    "a tick that failed is done",
    F,
    "heartbeat",
    "again.append((record, TICK_S))",
    "pass",
    HANDLER + "test_a_tick_comes_again_when_it_is_due_or_has_failed_until_there_is_nothing_left",
)

# --- the sweep ------------------------------------------------------------------------------------

W = sweep.Sweep
edit(
    "an expiry is sent before it is ordered",
    W,
    "_end",
    "await self._orders.give(ns, name)",
    "pass",
    SWEEP + "test_a_session_that_gives_no_sign_of_life_is_ended_by_an_order_at_the_next_sweep",
)
edit(
    "a session is ended at the first look",
    W,
    "_ask",
    "known = before is not None and",
    "known = before is None or",
    SWEEP + "test_a_session_that_answers_lives_whatever_its_queue_says",
)
edit(
    "a connection that was not asked is judged",
    W,
    "_ask",
    "== [beaten, session.inbox]",
    "[:1] == [beaten]",
    SWEEP + "test_who_could_not_be_asked_or_was_taken_over_meanwhile_is_not_judged",
)
edit(
    "who could not be asked is judged",
    W,
    "_ask",
    "if took",
    "if True",
    SWEEP + "test_who_could_not_be_asked_or_was_taken_over_meanwhile_is_not_judged",
)
edit(
    "who has come to own something is ended",
    W,
    "_end",
    "if not some",
    "if True",
    SWEEP + "test_who_was_given_something_between_two_sweeps_is_not_ended",
)
edit(
    "registrations of the living are swept",
    W,
    "_registrations",
    "elif shared_name(found.inbox) not in live",
    "else",
    SWEEP + "test_only_what_belongs_to_nothing_goes",
)
edit(
    "beats are swept for registrations",
    W,
    "_registrations",
    "isinstance(found, layout.Beat)",
    "False",
    SWEEP + "test_only_what_belongs_to_nothing_goes",
)
edit(
    "what nobody can understand stays",
    W,
    "_registrations",
    "gone.append(key)",
    "pass",
    SWEEP + "test_only_what_belongs_to_nothing_goes",
)
edit(
    "inboxes of the living are swept",
    W,
    "_inboxes",
    "if inbox not in live",
    "",
    SWEEP + "test_only_what_belongs_to_nothing_goes",
)
edit(
    "an inbox that was just made is swept",
    W,
    "_is_old",
    "time.time() - made_s > self._min_age_s",
    "True",
    SWEEP + "test_only_what_belongs_to_nothing_goes",
)
edit(
    "blobs are listed after the nodes that name them",
    W,
    "__call__",
    "woken = await self._state(left)",
    "woken = await self._state(left); left &= set(await self._blobs.older_than(self._min_age_s))",
    SWEEP + "test_blobs_are_listed_before_the_nodes_that_name_them",
)

# --- secrets, permissions -------------------------------------------------------------------------

swap(
    "the super user's hash is shown to whoever sees the stack",
    ((template, "PARAMETERS", {**template.PARAMETERS, "Super": template._text("Identity", "")}),),
    SECRET + "test_a_parameter_that_is_a_secret_is_not_shown",
)
edit(
    "every function is told the super user",
    template_functions,
    "_function",
    "if which == names.WRITER",
    "if True",
    SECRET + "test_only_the_writer_is_told_a_secret",
)
edit(
    "the bucket may be read without TLS",
    template_data,
    "tls_only",
    '"Effect": "Deny"',
    '"Effect": "Allow"',
    SECRET + "test_nothing_travels_or_lies_in_the_clear",
)
edit(
    "queues keep what is in them as it is",
    template_data,
    "queues",
    '{"Ref": "AWS::NoValue"}, True)',
    '{"Ref": "AWS::NoValue"}, False)',
    SECRET + "test_nothing_travels_or_lies_in_the_clear",
)
POLICY = "tests/aws/unit/test_secrets.py::test_what_a_client_may_do_is_this_and_no_more"
edit(
    "a client may write state",
    policies,
    "client",
    "READ, STATE",
    "(*READ, *WRITE), STATE",
    POLICY,
)
edit("a client may read sessions", policies, "client", "STATE), own and", "STATE, SESSIONS), own and", POLICY)
edit(
    "a client of a namespace writes to all",
    policies,
    "client",
    "*WRITE), INTEREST), own)",
    "*WRITE), INTEREST), None)",
    POLICY,
)
edit("a client of a namespace reads all data", policies, "client", '"%s/%s" % (DATA, reach)', '"%s/*" % DATA', POLICY)
edit("a scan shows a client everything", policies, "_keyed", '"Null": {"dynamodb:LeadingKeys": "false"},', "", POLICY)
