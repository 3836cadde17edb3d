"""Mistakes of the provider for AWS: releases, tables, what went wrong, queues and objects."""

from __future__ import annotations

from fk_backend.providers.aws import (
    blobs,
    clients,
    failures,
    gateway,
    handlers,
    poll,
    queues,
    releases,
    store,
)
from fk_backend.writer import step

from .edited import Family

family = Family("aws")
edit, swap = family.edit, family.swap

SHAPE = "tests/aws/unit/test_shapes.py::test_a_request_has_its_shape[%s]"
WRONG = "tests/aws/unit/test_shapes.py::test_what_goes_wrong_is_told_apart"
SHAPES = "tests/aws/unit/test_shapes.py::"

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
