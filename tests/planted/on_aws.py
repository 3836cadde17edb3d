"""Mistakes of the provider for AWS: what is asked of it, what Lambda hands over, what the template says."""

from __future__ import annotations

from fk_backend.functions import step
from fk_backend.providers.aws import (
    blobs,
    clients,
    failures,
    gateway,
    handlers,
    policies,
    poll,
    queues,
    releases,
    store,
    sweep,
    template,
    template_data,
    template_functions,
    ticks,
)

from .edited import Family

family = Family("aws")
edit, swap = family.edit, family.swap

SHAPE = "tests/aws/unit/test_shapes.py::test_a_request_has_its_shape[%s]"
WRONG = "tests/aws/unit/test_shapes.py::test_what_goes_wrong_is_told_apart"
SHAPES = "tests/aws/unit/test_shapes.py::"
HANDLER = "tests/aws/unit/test_handlers.py::"
SWEEP = "tests/aws/unit/test_sweep.py::"
SECRET = "tests/aws/unit/test_secrets.py::"

# --- releases -------------------------------------------------------------------------------------

RELEASE = "tests/aws/unit/test_releases.py::"
edit(
    "what can't read what is stored comes back",
    releases,
    "rollback",
    "stored != then.format",
    "False",
    RELEASE + "test_what_can_not_read_what_is_stored_does_not_come_back",
)
edit(
    "one function goes back, the others stay",
    releases,
    "make_live",
    "in FUNCTIONS:",
    "in [*FUNCTIONS][:1]:",
    RELEASE + "test_every_function_goes_back",
)
edit(
    "a release that lacks a function is one",
    releases,
    "releases",
    "if all(which in versions for which in FUNCTIONS)",
    "if names.WRITER in versions",
    RELEASE + "test_a_release_that_some_function_has_no_version_of_is_none",
)
edit(
    "what is live is removed when it is old",
    releases,
    "prune",
    "if not release.is_live",
    "if True",
    RELEASE + "test_the_oldest_go_and_never_what_is_live",
)

# --- tables ---------------------------------------------------------------------------------------

S = store.DynamoStore
edit("a read of one item may be old", S, "_one", ", ConsistentRead=True", "", SHAPE % "get")
edit("a batch of reads may be old", S, "_batch", '"ConsistentRead": True', '"ConsistentRead": False', SHAPE % "load")
edit("a listing may be old", S, "query", "ConsistentRead=True", "ConsistentRead=False", SHAPE % "listing")
edit("a scan may be old", S, "pages", '"ConsistentRead": True', '"ConsistentRead": False', SHAPE % "scan")
edit(
    "the format that is read may be old",
    gateway,
    "_check_format",
    "ConsistentRead=True",
    "ConsistentRead=False",
    SHAPE % "format",
)
edit("several items are of several moments", S, "get", "len(keys) <= 1:", "len(keys) <= 100:", SHAPE % "get together")
edit(
    "hundreds of items are of several moments",
    S,
    "get",
    "or found == seen",
    "or True",
    SHAPES + "test_a_snapshot_of_more_than_a_transaction_takes_is_read_until_it_stands_still",
)
edit("a condition is tried again", S, "_write_one", "if write.expect is None", "if True", SHAPE % "put at")
edit("what is new is put whatever is there", S, "_request", "write.expect == 0", "False", SHAPE % "put new")
edit(
    "a rev does not have to be the one that was read",
    S,
    "_request",
    "elif write.expect is not None",
    "elif False",
    SHAPE % "put at",
    SHAPE % "commit",
)
edit(
    "a registration is dropped whatever its number",
    S,
    "_write_one",
    "self._request(write)",
    "self._request(write if hasattr(write, 'item') else write._replace(expect=None))",
    SHAPE % "remove at",
)
edit(
    "a counter may be counted twice",
    S,
    "increment",
    "self._clients.once",
    "self._clients.dynamodb",
    SHAPE % "increment",
)
edit(
    "a transaction that is tried again is another one",
    S,
    "_write_all",
    "ClientRequestToken=token",
    "ClientRequestToken=uuid.uuid4().hex",
    WRONG,
)
edit(
    "every transaction is the same one",
    S,
    "_write_all",
    "uuid.uuid4().hex",
    "'one'",
    SHAPES + "test_two_commits_are_two",
)
edit("a transaction that was in the way is a failure", S, "_write_all", "range(TRIES)", "(TRIES - 1,)", WRONG)
edit(
    "what a batch left unread is missing",
    S,
    "_batch",
    "if not wanted:",
    "if True:",
    SHAPES + "test_what_a_batch_leaves_over_is_asked_again",
)
edit(
    "what a batch left undeleted stays",
    S,
    "_write_batch",
    "if not wanted:",
    "if True:",
    SHAPES + "test_what_a_batch_leaves_over_is_asked_again",
)
edit(
    "the row at the end comes along",
    S,
    "query",
    ' if row[SORT]["S"] != end',
    "",
    SHAPES + "test_pages_end_where_they_end",
)
edit(
    "a page that is full is the last one",
    S,
    "query",
    '"LastEvaluatedKey" in answer and',
    "False and",
    SHAPES + "test_pages_end_where_they_end",
)

# --- what went wrong ------------------------------------------------------------------------------

edit(
    "a lost answer to a write says that nothing happened",
    failures,
    "translated",
    "Unknown(str(error)) if writing else Unavailable(str(error))",
    "Unavailable(str(error))",
    WRONG,
)
edit(
    "a lost answer to a read may have had effect",
    failures,
    "translated",
    "Unknown(str(error)) if writing else Unavailable(str(error))",
    "Unknown(str(error))",
    WRONG,
)
edit(
    "a server's error says that nothing happened",
    failures,
    "_of_answer",
    "return Unknown(text) if writing else",
    "return",
    WRONG,
)
edit(
    "a condition that did not hold is tried again",
    failures,
    "_of_transaction",
    '"ConditionalCheckFailed" in reasons',
    "False",
    WRONG,
)
edit(
    "what was never sent may have happened",
    failures,
    "translated",
    "if isinstance(error, _NOT_SENT)",
    "if False",
    WRONG,
)
edit(
    "requests that have a condition are retried by the library",
    clients.Clients,
    "open",
    "retries=_retries(1)",
    "retries=_retries(TRIES)",
    SHAPES + "test_who_retries",
)
edit(
    "a long poll is given up before it ends",
    clients.Clients,
    "open",
    "read_timeout=LONG_POLL_S + read_s",
    "read_timeout=read_s",
    SHAPES + "test_who_retries",
)

# --- queues, objects ------------------------------------------------------------------------------

Q, B = queues.Queues, blobs.S3Blobs
edit(
    "a message sent again is another one",
    Q,
    "send",
    "MessageDeduplicationId=_deduplication_id(message_id, body)",
    "MessageDeduplicationId=message_id + str(clients.now_s())",
    SHAPE % "send",
)
edit(
    "others can guess the id of a message",
    queues,
    "_deduplication_id",
    'if ":" in message_id',
    "if True",
    SHAPE % "send",
)
edit(
    "a dead letter is answered to whom it names",
    handlers.Functions,
    "_set_aside",
    "if not is_sender(",
    "if False and not is_sender(",
    "tests/aws/unit/test_handlers.py::test_a_dead_letter_that_nobody_sent_is_answered_to_nobody",
)
edit("all namespaces are one group", Q, "send", "MessageGroupId=group", "MessageGroupId='all'", SHAPE % "send")
edit("a message may be pushed to any queue", Q, "push", "if _INBOX.fullmatch(message.inbox)", "if True", SHAPE % "push")
edit("any queue may be dropped", Q, "drop", "if _INBOX.fullmatch(inbox)", "if True", SHAPE % "drop what is none")
edit("an inbox that is gone stops the fan-out", Q, "_push", "not in NO_QUEUE", "not in ()", WRONG)
edit("an inbox that its owner closed stops the fan-out", Q, "_push", "if refused_by_owner(error)", "if False", WRONG)
edit("an inbox that its owner closed can't be dropped", Q, "remove", "if refused_by_owner(error)", "if False", WRONG)
edit(
    "what our own credentials lack is taken for an owner's refusal",
    failures,
    "refused_by_owner",
    " and code not in _FULL_SPEED | _NOT_ALLOWED | _GONE",
    "",
    WRONG,
    also=(queues,),
)
AGAIN = "tests/aws/provider/test_reconnects.py::"
edit(
    "answers to the connection before are heard",
    queues,
    "decoded",
    'reconnects != (found[1] or "")',
    "False",
    AGAIN + "test_what_was_sent_to_the_connection_before_is_not_heard",
    also=(poll,),
)
edit(
    "every connection makes a queue",
    gateway.AwsGateway,
    "inbox",
    "poll is None or poll.is_serving",
    "True",
    AGAIN + "test_one_queue_is_made_for_any_number_of_connections",
)
edit(
    "a queue that was removed is gone back to",
    gateway.AwsGateway,
    "inbox",
    "poll is not None and poll.is_gone",
    "False",
    AGAIN + "test_a_queue_that_was_removed_is_not_gone_back_to",
)
edit(
    "two clients of a process poll one queue",
    gateway.AwsGateway,
    "inbox",
    "poll.is_serving",
    "False",
    AGAIN + "test_two_clients_with_one_session_do_not_share_a_queue",
)
edit(
    "a late goodbye takes the next connection's queue along",
    poll.Poll,
    "leave",
    "inbox == self._newest",
    "True",
    AGAIN + "test_a_former_connection_that_says_goodbye_late_takes_nothing_along",
)
edit(
    "the queue that a client goes on with is removed",
    step,
    "_left",
    "if shared_name(inbox) not in in_use",
    "if True",
    "tests/functions/test_fan_out.py::test_the_queue_of_a_client_that_connects_again_stays",
)
edit("a push that was lost is done", Q, "_push", "raise translated(error, writing=True) from error", "pass", WRONG)
edit(
    "an inbox is asked over and over",
    Q,
    "receive",
    "WaitTimeSeconds=LONG_POLL_S",
    "WaitTimeSeconds=0",
    SHAPE % "receive",
)
edit("clients write where nodes' data are", B, "upload", "prefix(UPLOADS, ns)", "prefix(KEPT, ns)", SHAPE % "upload")
edit("what is kept expires", B, "keep", "prefix(KEPT, ns)", "prefix(UPLOADS, ns)", SHAPE % "keep a blob")
edit("a blob that is not there stops the writer", B, "keep", "raise Refused(", "raise KeyError(", WRONG)
edit(
    "what is young is swept",
    B,
    "older_than",
    ' if row["LastModified"].timestamp() <= limit',
    "",
    SHAPES + "test_only_what_is_old_is_swept",
)
edit(
    "one page of what is old is swept",
    B,
    "older_than",
    'not answer.get("IsTruncated")',
    "True",
    SHAPES + "test_only_what_is_old_is_swept",
)

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
