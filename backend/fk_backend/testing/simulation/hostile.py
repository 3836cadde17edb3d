"""A hostile client: it may write to INTEREST and to the queue, as every client, and fills them with garbage.

It knows the sessions and the inboxes of others, which are no secrets, and not their keys. It leaves their items alone:
everybody else has to go on as if it was not there.
"""

from __future__ import annotations

from random import Random
from typing import Any, List, Optional, Tuple

from ... import codec, layout
from ...core.acls import OPEN_ACL
from ...core.model import Blob, Session
from ...core.requests import Attach, Close, Create, Delete, Expire, Open, Reap, Request, SetData, StopTicking
from ...core.watches import MODES
from ...mac import TAG_BYTES
from ...messages import MAX_NUMBER, Message, Position, encode, message_id
from ...ports import INTEREST, SESSIONS, Delivery, Item, Key, Put
from .ports import Deployment, Waiting

INBOX = "hostile"
PLACES = ("/", "/a", "/b", "/a/c", "/q", "/nowhere", "a", "", "/a/", "/\0", "//")
NAMES = (INBOX, "", ":", "a:b", "heartbeat:x", "x" * 70, "\u00e9", "\0")
SIZES = (0, -1, 1, 7, 1 << 31, 1 << 62, (1 << 63) - 1, -(1 << 63), 1 << 90, 1.5, "1", None, True)
VAIN: Tuple[Request, ...] = (
    Close(),
    Delete("/a", -1),
    SetData("/a", b"hostile", -1),
    Create("x", b"", (), 9, -1, True),
)
"""What any session may ask for."""
ITEMS, MESSAGES = 12, 6
"""Of one go."""


def attack(deployment: Deployment, r: Random) -> None:
    """Stores and sends some of it, at once."""
    for _ in range(r.randint(1, ITEMS)):
        key, item = _item(r, deployment.ns)
        deployment.world.note(INBOX, "garbage", key)
        deployment.at_once(deployment.items.commit([Put(key, item, owner=r.choice(("", INBOX)))]))
    for _ in range(r.randint(0, MESSAGES)):
        _send(deployment, message_id(INBOX, r.randrange(1 << 60)), _body(r, deployment))


def _send(deployment: Deployment, name: str, body: bytes) -> None:
    """A queue takes any bytes. They are not written down as accepted: nothing may come of them."""
    deployment.accepted[name] = len(deployment.accepted)
    deployment.queue.append(Waiting(name, Delivery(body, False, Position(len(deployment.accepted)))))
    deployment.on_message()


def _item(r: Random, ns: str) -> Tuple[Key, Item]:
    place, name = r.choice(PLACES), r.choice(NAMES)
    mode = r.choice((*sorted(MODES), "0", "1", "3", "", ":", "DATA"))
    partition, sort = r.choice(
        (
            (layout.node_partition(ns, place), "%s:%s" % (mode, name)),
            (layout.node_partition(ns, place), r.choice(("1:hostile", "data", mode, name))),
            (layout.recursive_partition(ns), "%s:%s" % (place, name)),
            (layout.recursive_partition(ns), r.choice((place, name, "session"))),
            (
                layout.beats_partition(ns),
                r.choice(("%016x" % r.getrandbits(63), "%X" % r.getrandbits(60), name, place)),
            ),
            (ns + ":hello", name),
        )
    )
    return Key(INTEREST, partition, sort), Item(r.choice(SIZES), r.choice((b"", b"x", None)))  # type: ignore[arg-type]


def _body(r: Random, deployment: Deployment) -> bytes:
    """Of a message that nobody may send, or of one that fails."""
    kind = r.randrange(4)
    if kind == 0:
        return r.getrandbits(8 * 20).to_bytes(20, "big")
    body = encode(_message(r, deployment))
    if kind == 1:
        at = r.randrange(len(body))
        return body[:at] + b"\xff" + body[at + 2 :]
    if kind == 2:
        whole: List[Any] = codec.loads(body[:-TAG_BYTES])
        whole[r.choice((0, 1, 2, 4))] = r.choice((None, [], [[]], "\u00e9", -1.5, [["Create"]]))
        return codec.dumps(whole) + body[-TAG_BYTES:]
    return body


def _message(r: Random, deployment: Deployment) -> Message:
    """Of no session, or of the inbox of a function, or asking what only functions may."""
    requests: Tuple[Request, ...] = (
        Expire(_session(r, deployment), r.randrange(3)),
        Reap(r.choice(PLACES), MAX_NUMBER),
        StopTicking(MAX_NUMBER),
        Open(b"x", 1000, r.choice(("another", "heartbeat:x")), None),
        Attach(_session(r, deployment), b"x" * 16, "another", None),
        Create("/a", Blob("data/%s/x" % deployment.ns, 1), OPEN_ACL, 0, 0, False),
    )
    chosen = tuple(r.choice(r.choice((requests, VAIN))) for _ in range(r.randint(0, 3)))
    victim = _victim(r, deployment)
    if victim is not None and r.random() < 0.5:  # what that one could have sent next
        return Message(victim.inbox, victim.id, r.randrange(1, 20), (r.choice(VAIN),), r.randrange(3))
    name = r.choice((*NAMES, INBOX))
    return Message(name, _session(r, deployment), r.randrange(MAX_NUMBER), chosen, MAX_NUMBER)


def _victim(r: Random, deployment: Deployment) -> Optional[Session]:
    """Somebody else: whose session and inbox are no secrets."""
    partition = layout.sessions_partition(deployment.ns)
    rows = deployment.at_once(deployment.items.query(SESSIONS, partition)).rows
    return layout.session_of(r.choice(rows)[1]) if rows else None


def _session(r: Random, deployment: Deployment) -> int:
    """Of somebody else: its number is no secret."""
    (item,) = deployment.at_once(deployment.items.get([layout.head_key(deployment.ns)]))
    first = 0 if item is None else layout.head_of(item).namespace_id << 40
    return first | r.randrange(1, 30)
