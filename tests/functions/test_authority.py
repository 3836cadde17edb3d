"""Whoever may send to the queue can send anything in anybody's name: what a message may ask is judged by the writer.

For everything that a message can name: sessions, connections, blobs, and what only the heartbeat may ask for.
"""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Tuple

import pytest

from fk_backend import codec, messages
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Blob, Error
from fk_backend.core.requests import (
    Attach,
    Auth,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Multi,
    Open,
    Reap,
    Request,
    SetAcl,
    SetData,
    StopTicking,
    WatchSubtrees,
)
from fk_backend.functions.writer import Writer
from fk_backend.mac import TAG_BYTES
from fk_backend.messages import FORMAT, Message, encode
from fk_backend.ports import Delivery

from .doubles import KEY, NS, PASSWORD, Bench, deliveries

NO_TAG = bytes(TAG_BYTES)
"""Who sent it is looked at later than what it is."""


def _create(path: str, data: Any = b"", flags: int = 0) -> Create:
    return Create(path, data, OPEN_ACL, flags, 0, False)


TREE: Dict[str, Request] = {
    "create": _create("/new"),
    "delete": Delete("/there", -1),
    "set data": SetData("/there", b"new", -1),
    "set acl": SetAcl("/there", OPEN_ACL, -1),
    "check": Check("/there", -1),
}
OF_A_SESSION: Dict[str, Request] = {
    **TREE,
    "multi": Multi((TREE["create"], TREE["set data"])),
    "auth": Auth("digest", "u:p"),
    "close": Close(),
    "watch subtrees": WatchSubtrees(),
}
INTERNAL: Dict[str, Request] = {"expire": Expire(0, 0), "reap": Reap("/there/c", 0), "rest": StopTicking(1 << 40)}
OF_NONE: Dict[str, Request] = {
    "open": Open(b"h" * 32, 4000, "thief", None),
    "attach": Attach(0, PASSWORD, "thief", None),
}


def test_every_request_is_in_one_of_these_tables() -> None:
    every = {type(request) for table in (OF_A_SESSION, INTERNAL, OF_NONE) for request in table.values()}
    assert every == set(messages._KINDS.values())


async def _scene() -> Tuple[Bench, int, int]:
    """A bench with a victim's session and a thief's; the victim owns nodes of every kind."""
    bench = Bench()
    victim, thief = await bench.open("victim"), await bench.open("thief")
    made = (_create("/there"), _create("/there/c", flags=4), _create("/there/c/x"), Delete("/there/c/x", -1))
    await bench.ask("victim", victim, 1, *made, _create("/mine", flags=1))
    return bench, victim, thief


# --- sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["nobody", "of no session", "the victim"])
@pytest.mark.parametrize("what", OF_A_SESSION)
def test_a_request_needs_the_session_that_lives_at_its_connection(what: str, whose: str) -> None:
    async def check() -> None:
        bench, victim, _ = await _scene()
        before = await bench.contents()
        session = {"nobody": 0, "of no session": victim + 1000, "the victim": victim}[whose]
        await bench.write(Message("thief", session, 1, (OF_A_SESSION[what],)))
        told = bench.told("thief")
        assert told.answers.get(1, [0])[0] == (Error.SESSION_MOVED if whose == "the victim" else 0)
        assert told.ended == ({(session, True)} if whose == "of no session" else set())
        assert await bench.contents() == before
        assert not bench.told("victim").ended

    asyncio.run(check())


def test_a_session_is_attached_to_by_its_password_alone() -> None:
    async def check() -> None:
        bench, victim, _ = await _scene()
        before = await bench.contents()
        for number, password in enumerate((b"", b"q" * 16, PASSWORD[:-1], PASSWORD + b"p"), 1):
            ((code, _, _),) = await bench.ask("thief", 0, number, Attach(victim, password, "thief", None))
            assert code == Error.SESSION_EXPIRED
        assert await bench.contents() == before and bench.inboxes.dropped == []

    asyncio.run(check())


@pytest.mark.parametrize("moves", [False, True])
def test_a_session_is_asked_for_by_its_own_connection_alone(moves: bool) -> None:
    """Else who ends or moves a session said to be at the victim's takes the victim's watches and inbox along."""

    async def check() -> None:
        bench, _, thief = await _scene()
        await bench.watch("victim", "/there", "data", 7)
        request = Attach(thief, PASSWORD, "victim", None) if moves else Open(b"h" * 32, 4000, "victim", None)
        before, pushed = await bench.contents(), len(bench.inboxes.pushed)
        await bench.write(Message("thief", 0, 1, (request,)))
        await bench.write(Message("thief", 0, 2, (_create("/too"), request)))
        assert await bench.contents() == before and len(bench.inboxes.pushed) == pushed
        ((code, _, _),) = await bench.ask("thief", thief, 4, _create("/next"))
        assert code == Error.OK

    asyncio.run(check())


# --- what only the heartbeat may ask --------------------------------------------------------------


@pytest.mark.parametrize("sender", ["thief", "heartbeat:1", "heartbeat", ""])
@pytest.mark.parametrize("what", INTERNAL)
def test_nobody_else_may_ask_what_the_heartbeat_asks(what: str, sender: str) -> None:
    """Alone, behind something good, before it; what is in the next message is done."""

    async def check() -> None:
        bench, victim, thief = await _scene()
        request = Expire(victim, 0) if what == "expire" else INTERNAL[what]
        before = await bench.contents()
        for session in (0, thief):
            await bench.write(Message(sender, session, 1, (request,)))
            await bench.write(Message(sender, session, 2, (_create("/too"), request)))
            await bench.write(Message(sender, session, 4, (request, _create("/too"))))
        assert await bench.contents() == before and not bench.told("victim").ended
        if sender == "thief":
            assert not set(bench.told("thief").answers) & set(range(1, 6))
        batch = [Message(sender, thief, 6, (request,)), Message("thief", thief, 8, (_create("/next"),))]
        await bench.write(*batch)
        assert bench.told("thief").answers[8][0] == Error.OK
        await bench.write(Message("heartbeat:1", 0, 1, (request,)), internal=True)
        after = await bench.contents()
        assert after != before and ("ns:/mine" in {key.partition for key in after}) == (what != "expire")

    asyncio.run(check())


def test_one_message_that_is_vouched_for_vouches_for_no_other_one() -> None:
    async def check() -> None:
        bench, victim, _ = await _scene()
        good, bad = (
            Message("heartbeat:1", 0, 1, (StopTicking(1 << 40),)),
            Message("heartbeat:2", 0, 1, (Expire(victim, 0),)),
        )
        await bench.writer(NS, [*deliveries([good], True), *deliveries([bad], False)])
        await bench.writer(NS, [*deliveries([bad], False), *deliveries([good], True)])
        assert not bench.told("victim").ended

    asyncio.run(check())


@pytest.mark.parametrize("what", sorted({**OF_A_SESSION, **INTERNAL, **OF_NONE}.keys() - TREE.keys()))
def test_a_multi_holds_what_changes_the_tree_and_nothing_else(what: str) -> None:
    """Whatever is refused outside is not to be had inside."""
    request = {**OF_A_SESSION, **INTERNAL, **OF_NONE}[what]
    body = encode(Message("thief", 1, 1, (Multi((TREE["create"], request)),)))
    with pytest.raises(codec.Malformed):
        messages.decode(body)


def test_what_the_writer_asks_itself_is_no_request() -> None:
    """A sweep deletes what a session owned."""
    messages.decode(codec.dumps([FORMAT, "heartbeat:1", 0, 1, [["Close"]]]) + NO_TAG)
    with pytest.raises(codec.Malformed):
        messages.decode(codec.dumps([FORMAT, "heartbeat:1", 0, 1, [["Sweep", 1]]]) + NO_TAG)


# --- namespaces, blobs ----------------------------------------------------------------------------

FOREIGN = [
    "uploads/other/x",
    "uploads/ns2/x",
    "uploads/ns",
    "data/ns/x",
    "dead/ns/x",
    "data/other/x",
    "x",
    "",
    "/uploads/ns/x",
]


class Kept:
    """`ports.Blobs` that keeps whatever it is asked to, and remembers it."""

    inline_bytes = 1 << 20

    def __init__(self) -> None:
        self.asked: List[str] = []

    async def keep(self, ns: str, name: str, data: Any) -> Blob:
        """`ports.Blobs.keep`."""
        self.asked.append(data.key)
        return Blob("data/%s/%s" % (ns, name), data.size)

    async def remove(self, keys: Any) -> None:
        """`ports.Blobs.remove`."""


@pytest.mark.parametrize("key", FOREIGN)
@pytest.mark.parametrize("how", ["create", "set", "multi", "multi set", "behind"])
def test_a_blob_is_named_by_clients_of_its_namespace_alone(how: str, key: str) -> None:
    """Else a client reads what it may not: the writer, who may read everything, copies it to where the client may."""

    async def check() -> None:
        bench, _, thief = await _scene()
        blobs = Kept()
        bench.writer = Writer(bench.ports()._replace(blobs=blobs))  # type: ignore[arg-type]
        blob, good = Blob(key, 4), _create("/good")
        asked: Tuple[Request, ...] = {
            "create": (_create("/new", blob),),
            "set": (SetData("/there", blob, -1),),
            "multi": (Multi((good, _create("/new", blob))),),
            "multi set": (Multi((good, SetData("/there", blob, -1))),),
            "behind": (good, _create("/new", blob)),
        }[how]
        before = await bench.contents()
        await bench.write(Message("thief", thief, 1, asked))
        assert (await bench.contents(), blobs.asked) == (before, [])
        own = Blob("uploads/%s/x" % NS, 4)
        ((code, _, _),) = await bench.ask("thief", thief, 3, _create("/own", own))
        assert (code, blobs.asked) == (Error.OK, [own.key])

    asyncio.run(check())


def test_where_there_are_no_blobs_none_can_be_named() -> None:
    """Else its readers get what is no data."""

    async def check() -> None:
        bench, _, thief = await _scene()
        before = await bench.contents()
        blob = Blob("uploads/%s/x" % NS, 4)
        requests = (_create("/new", blob), SetData("/there", blob, -1), Multi((_create("/new", blob),)))
        answers = await bench.ask("thief", thief, 1, *requests)
        assert [code for code, _, _ in answers] == [Error.SYSTEM] * 3 and await bench.contents() == before

    asyncio.run(check())


def test_a_session_is_of_its_namespace() -> None:
    """What is sent to another one finds no such session there, and changes nothing here."""

    async def check() -> None:
        bench, victim, thief = await _scene()
        before = await bench.contents()
        for inbox, session in (("victim", victim), ("thief", thief)):
            for number, request in enumerate(OF_A_SESSION.values(), 10):
                await bench.writer("other", [Delivery(encode(Message(inbox, session, number, (request,)), KEY), False)])
        told = bench.told("thief")
        assert not told.answers.keys() & set(range(10, 10 + len(OF_A_SESSION))) and told.ended == {(thief, True)}
        await bench.writer("other", [Delivery(encode(Message("thief", 0, 50, (OF_NONE["open"],))), False)])
        other = bench.told("thief").answers[50][1][0]
        mine = Message("thief", other, 51, (_create("/ns:"), _create("/x")))
        await bench.writer("other", [Delivery(encode(mine, b"h" * 32), False)])
        assert bench.told("thief").answers[52][0] == Error.OK
        after = await bench.contents()
        assert {key: item for key, item in after.items() if not key.partition.startswith("other:")} == before

    asyncio.run(check())


@pytest.mark.parametrize("ns", ["ns:/there", "ns:", ":", "", "n s", "ns/x", "ns\n", "n" * 65, "\u00e4", "*"])
def test_what_is_sent_to_what_is_no_namespace_is_not_done(ns: str) -> None:
    """A colon would lead into the tree of another one, past its sessions and its ACLs."""

    async def check() -> None:
        bench, _, thief = await _scene()
        before, pushed = await bench.contents(), len(bench.inboxes.pushed)
        for session, request in ((0, Open(b"h" * 32, 4000, "thief", None)), (thief, _create("/x"))):
            await bench.writer(ns, deliveries([Message("thief", session, 1, (request,))]))
        assert await bench.contents() == before and len(bench.inboxes.pushed) == pushed

    asyncio.run(check())


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [-1, messages.MAX_NUMBER + 1, 1 << 63, "0", None, 0.5, [0]])
def test_a_number_is_one(first: Any) -> None:
    messages.decode(codec.dumps([FORMAT, "thief", 0, 0, []]) + NO_TAG)
    with pytest.raises(codec.Malformed):
        messages.decode(codec.dumps([FORMAT, "thief", 0, first, []]) + NO_TAG)


def test_numbers_are_of_one_connection() -> None:
    """What one connection has done says nothing of what another one has, in one batch or from one to the next."""

    async def check() -> None:
        bench, victim, thief = await _scene()
        await bench.write(
            Message("thief", thief, 1000, (_create("/a"),)),
            Message("victim", victim, 6, (_create("/b"),)),
        )
        ((code, _, _),) = await bench.ask("victim", victim, 7, _create("/c"))
        assert code == Error.OK == bench.told("victim").answers[6][0]

    asyncio.run(check())
