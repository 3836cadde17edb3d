"""What AWS documents and an emulator does not do by itself: one table of rules, each with the page that it is from.

Rule upheld here: a rule is on or off for a whole run, by the variable `DOCUMENTED`, which the emulator's process and
the host of functions read alike. Clients and functions know nothing of it.

    all                                      every rule
    late-queues,query-row-by-row             these
    all,-write-throttling,late-queues=1.5    all but one; with another value

Without the variable those are on that are marked ``always``. Run by ministack's own interpreter, too: imports nothing
of ours. `documented_dynamodb` and `documented_sqs` are what ministack is told; `lineage` and `mapping` ask here.
"""

from __future__ import annotations

import os
from typing import Dict, Mapping, NamedTuple, Optional

DOCUMENTED = "FK_DOCUMENTED_AWS"
"""The variable that says which rules are on."""

_DB = "https://docs.aws.amazon.com/amazondynamodb/latest/"
_SQS = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/"
_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/"


class Rule(NamedTuple):
    """What AWS says, and where. ``value`` is its number, in the unit that ``says`` names."""

    says: str
    page: str
    value: float = 1.0
    always: bool = False


LATE_QUEUES, LAGGING_COUNTERS, DEDUPLICATION = "late-queues", "lagging-counters", "deduplication-ends"
SEQUENCE, MIXED, CHAINS = "sequence-begins-anew", "mixed-batches", "chains-of-16"
IDLE, THROTTLING, ROW_BY_ROW = "idle-connections-end", "write-throttling", "query-row-by-row"
CONFLICT, PARTIAL_DB, PARTIAL_SQS = "transaction-conflict", "partial-batches-dynamodb", "partial-batches-sqs"

RULES: Dict[str, Rule] = {
    LATE_QUEUES: Rule(
        "a queue may be used a second after CreateQueue at the earliest (seconds)",
        _SQS + "APIReference/API_CreateQueue.html",
    ),
    LAGGING_COUNTERS: Rule(
        "ApproximateNumberOf... of a standard queue takes a minute and more to be true (seconds)",
        _SQS + "APIReference/API_GetQueueAttributes.html",
        60.0,
    ),
    DEDUPLICATION: Rule(
        "a message id is known for five minutes (seconds)",
        _SQS + "SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html",
        300.0,
        always=True,
    ),
    SEQUENCE: Rule(
        "a sequence number grows within one queue, and another queue of that name begins anew",
        _SQS + "SQSDeveloperGuide/FIFO-key-terms.html",
        always=True,
    ),
    MIXED: Rule("a batch of a FIFO queue may hold several groups", _LAMBDA + "services-sqs-scaling.html", always=True),
    CHAINS: Rule(
        "a function is not invoked more than about 16 times in one chain of requests (times)",
        _LAMBDA + "invocation-recursion.html",
        16.0,
        always=True,
    ),
    IDLE: Rule(
        "connections that are idle while an environment is frozen are closed by the other side (seconds)",
        _LAMBDA + "best-practices.html",
        0.5,
    ),
    THROTTLING: Rule(
        "a key takes 1,000 write units a second, a new table on demand 4 times as many (units)",
        _DB + "developerguide/warm-throughput-scenarios.html",
        1000.0,
    ),
    ROW_BY_ROW: Rule(
        "Query and BatchGetItem are no snapshot: each item is read by itself",
        _DB + "developerguide/transaction-apis.html",
    ),
    CONFLICT: Rule(
        "what meets an item of a transaction that is under way is refused (milliseconds that one takes)",
        _DB + "developerguide/transaction-apis.html",
        4.0,
    ),
    PARTIAL_DB: Rule(
        "BatchGetItem and BatchWriteItem may leave some undone (every so many of them)",
        _DB + "APIReference/API_BatchGetItem.html",
        3.0,
    ),
    PARTIAL_SQS: Rule(
        "some of a batch of SQS may fail (every so many batches)",
        _SQS + "APIReference/API_DeleteMessageBatch.html",
        3.0,
    ),
}


class NoSuchRule(ValueError):
    """The variable names what is no rule."""


def rules(environment: Optional[Mapping[str, str]] = None) -> Dict[str, float]:
    """The rules that are on, with their values. NoSuchRule."""
    said = (os.environ if environment is None else environment).get(DOCUMENTED)
    if said is None:
        return {name: rule.value for name, rule in RULES.items() if rule.always}
    found: Dict[str, float] = {}
    for word in filter(None, (part.strip() for part in said.split(","))):
        name, _, value = word.lstrip("-").partition("=")
        if name == "all":
            found.update((each, rule.value) for each, rule in RULES.items())
        elif name not in RULES:
            raise NoSuchRule("%s: %s is none of %s" % (DOCUMENTED, name, ", ".join(RULES)))
        elif word.startswith("-"):
            found.pop(name, None)
        else:
            found[name] = float(value) if value else RULES[name].value
    return found
