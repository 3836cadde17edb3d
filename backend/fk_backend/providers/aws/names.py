"""What everything of a deployment is called, in one place: the template, the functions and the clients agree by this.

A deployment is a set of tables, queues, functions and a bucket in one account and region, all named after it.
"""

from __future__ import annotations

import re
from typing import Dict

from ...ports import INTEREST, SESSIONS, STATE
from .. import naming

FORMAT_KEY = ("deployment", "format")
"""(p, s) of the item in the state table whose ``r`` is `layout.FORMAT`: ``fk-kazoo deploy`` writes it."""

PARTITION, SORT, REV, BODY = "p", "s", "r", "b"
"""The attributes of an item."""

HANDLERS = "fk_backend.providers.aws.handlers"
WRITER, HEARTBEAT, DEAD_LETTER, SWEEPER = "writer", "heartbeat", "dead-letter", "sweeper"
DIRECT = "direct"
"""The alias of the writer by which clients invoke it: so it knows who asks, and takes no batch of them."""

_RESERVED_PART = re.compile(r"(?:.*-)?(?:inbox-.*|writes\.fifo|dead\.fifo|timer)")


def checked(name: str) -> str:
    """The name of a deployment. BadUrl if it can't be one.

    It is part of names that AWS limits to 63 characters, and of a bucket's, which has no capitals. And no two
    deployments may have names of which one says that what is called so belongs to the other.
    """
    return naming.checked("aws", name)


def stack(name: str) -> str:
    """The CloudFormation stack."""
    return "fk-" + name


def tags(name: str) -> Dict[str, str]:
    """What everything of a deployment is tagged with: the stack's are passed on to what it makes."""
    return {"fk-kazoo": stack(name)}


def table(name: str, which: str) -> str:
    """One of the three tables: ``which`` as in `ports.TABLES`."""
    assert which in (STATE, SESSIONS, INTEREST)
    return "fk-%s-%s" % (name, which)


def writes_queue(name: str) -> str:
    """The FIFO queue that clients send to; its message groups are the namespaces."""
    return "fk-%s-writes.fifo" % name


def dead_queue(name: str) -> str:
    """Where messages go that the writer failed on again and again."""
    return "fk-%s-dead.fifo" % name


def timer_queue(name: str) -> str:
    """Delayed messages that wake the heartbeat."""
    return "fk-%s-timer" % name


def inbox_prefix(name: str) -> str:
    """What the names of all inboxes begin with."""
    return "fk-%s-inbox-" % name


def inbox_queue(name: str, inbox: str) -> str:
    """The queue of one inbox (32 hex digits)."""
    return inbox_prefix(name) + inbox


def inbox_of(name: str, queue: str) -> str:
    """What an inbox is called apart from the deployment; "" if the queue is another deployment's: `a-inbox-b` has some.

    Clients make inboxes, and may call them what they like.
    """
    prefix = inbox_prefix(name)
    inbox = queue[len(prefix) :]
    return "" if not queue.startswith(prefix) or _RESERVED_PART.fullmatch(inbox) else inbox


def function(name: str, which: str) -> str:
    """A function: WRITER, HEARTBEAT, DEAD_LETTER or SWEEPER."""
    return "fk-%s-%s" % (name, which)


def handler(which: str) -> str:
    """Its entry point, as Lambda names it."""
    return "%s.%s" % (HANDLERS, {DEAD_LETTER: "dead_letter", SWEEPER: "sweep"}.get(which, which))


def bucket(name: str, account: str, region: str) -> str:
    """The bucket; its name must be unique in all of AWS."""
    return "fk-%s-%s-%s" % (name, account, region)


def package_bucket(account: str, region: str) -> str:
    """Where packages of all deployments of an account and region are."""
    return bucket(naming.PACKAGES, account, region)
