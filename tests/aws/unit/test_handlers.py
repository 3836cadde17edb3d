"""What Lambda hands over is untrusted: who sent it is judged by what only functions, or only clients with a permission,
can have written to a table. And what comes again comes in order, and all of it.
"""

from __future__ import annotations

import asyncio
import base64
from types import SimpleNamespace
from typing import Any, Awaitable, Callable, Dict, List, Optional, Sequence, Tuple

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error, Session
from fk_backend.core.requests import Attach, Create, Expire, Open, Request
from fk_backend.errors import Refused, Unavailable, Unknown
from fk_backend.mac import inbox_name
from fk_backend.messages import Message, Position, decode_note, encode, message_id
from fk_backend.ports import Delivery, Item, Key, Pushed, Put
from fk_backend.providers.aws import direct, handlers
from fk_backend.providers.aws.handlers import Functions, Service
from fk_backend.providers.aws.ticks import ORDERS_KEPT_S, TICK_S, Memory, Orders, Tick, Ticked
from fk_backend.providers.memory.store import MemoryStore

from .calls import Stub

NS = "ns"
KEY = b"key"
INBOX = inbox_name(NS, KEY, bytes(4))
OTHER = INBOX[::-1]
CREATE = Create("/a", b"", OPEN_ACL, 0, 0, False)


class Queues:
    """As much of `queues.Queues` as the handlers need."""

    account = "123"

    def __init__(self) -> None:
        self.pushed: List[Pushed] = []
        self.again: List[Tuple[List[str], int]] = []
        self.expected: List[Tuple[str, float]] = []
        self.letters: List[List[Any]] = []
        self.forgotten: List[str] = []
        self.ticks: List[Tuple[str, int]] = []

    async def push(self, notes: Sequence[Pushed]) -> None:
        """Remembers them."""
        self.pushed.extend(notes)

    async def try_again_soon(self, records: Sequence[Any], after_s: int) -> None:
        """Remembers which, and when."""
        self.again.append(([record["messageId"] for record in records], after_s))

    def expect(self, inbox: str, made_s: float) -> None:
        """Remembers it: nobody waits here."""
        self.expected.append((inbox, made_s))

    async def dead_letters(self) -> List[Any]:
        """What is there, but for what is hidden."""
        return list(self.letters.pop(0)) if self.letters else []

    async def forget_dead_letters(self, received: Sequence[Any]) -> None:
        """Remembers which."""
        self.forgotten.extend(letter["MessageId"] for letter in received)

    async def tick_again(self, records: Sequence[Tuple[Any, int]]) -> None:
        """Remembers which, and when."""
        self.ticks.extend((record["messageId"], after_s) for record, after_s in records)


SESSION = 7
SENT_MS = 1_700_000_000_000


class Called:
    """A writer."""

    write_for: Any = None

    def __init__(self, write: Callable[[str, Sequence[Delivery]], Awaitable[None]]) -> None:
        self._write = write

    async def __call__(self, ns: str, batch: Sequence[Delivery]) -> None:
        """`Writer`."""
        await self._write(ns, batch)


class Stage:
    """The handlers, over tables in memory and a writer that remembers what it was handed."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.queues = Queues()
        self.stub = Stub()
        self.handed: List[Tuple[str, List[Delivery]]] = []
        self.failures: Dict[str, Exception] = {}
        """What the writer fails with, by what is in the body."""
        self.orders = Orders(self.store)
        self.pulse: Any = None
        service: Any = SimpleNamespace(
            clients=self.stub,
            queues=self.queues,
            store=self.store,
            writer=Called(self.write),
            orders=self.orders,
            pulse=self.beat,
        )
        self.functions = Functions(service)

    async def write(self, ns: str, batch: Sequence[Delivery]) -> None:
        """As the writer."""
        for delivery in batch:
            for text, failure in self.failures.items():
                if text.encode() in delivery.body:
                    raise failure
        self.handed.append((ns, list(batch)))

    async def beat(self, tick: Tick) -> Optional[Ticked]:
        """As the pulse."""
        if tick.ns in self.failures:
            raise self.failures[tick.ns]
        return None if tick.ns == "rests" else Ticked(6.5, 0.0)

    async def live(self) -> None:
        """Has the session that sends."""
        session = Session(SESSION, KEY, 4000, (), INBOX)
        await self.store.commit([Put(layout.session_key(NS, SESSION), layout.session_item(session, 1))])

    async def hello(self, ns: str, inbox: str) -> None:
        """As a client with the permission for the namespace."""
        await self.store.commit([Put(layout.hello_key(ns, inbox), Item(1, b""))])


def _record(body: bytes, sent_id: Optional[str] = "c-1", ns: str = NS, number: int = 1, receives: int = 1) -> Any:
    attributes = {
        "MessageGroupId": ns,
        "SequenceNumber": str(number),
        "SentTimestamp": str(SENT_MS + number),
        "ApproximateReceiveCount": str(receives),
        **({} if sent_id is None else {"MessageDeduplicationId": sent_id}),
    }
    text = base64.b64encode(body).decode()
    return {"body": text, "attributes": attributes, "messageId": "m%d" % number, "receiptHandle": "r%d" % number}


def _sequences(batch: Sequence[Delivery]) -> List[int]:
    return [delivery.position.sequence for delivery in batch]


def _sent(*requests: Request, inbox: str = INBOX, first: int = 1, **more: Any) -> Any:
    return _record(encode(Message(inbox, SESSION, first, requests), KEY), **more)


def _on_a_stage(test: Callable[[Stage], Awaitable[None]]) -> None:
    asyncio.run(test(Stage()))


def test_a_service_is_what_is_put_in_its_place_here() -> None:
    assert {"clients", "queues", "store", "writer", "orders", "pulse"} <= set(Service._fields)


# --- the heartbeat's messages ---------------------------------------------------------------------


@pytest.mark.parametrize("sent_id", ["heartbeat:1-1", "heartbeat:2-1", "heartbeat", "x-1", "", None])
def test_a_message_is_the_heartbeats_if_it_was_ordered(sent_id: Optional[str]) -> None:
    """Its name says nothing: anybody with the permission to send may call a message so."""

    async def test(stage: Stage) -> None:
        await stage.orders.give(NS, "heartbeat:2-1")
        await stage.orders.give("other", "heartbeat:1-1")
        await stage.functions.writer([_sent(Expire(7, 0), inbox="heartbeat:1", sent_id=sent_id)])
        ((ns, (delivery,)),) = stage.handed
        assert (ns, delivery.internal) == (NS, sent_id == "heartbeat:2-1")
        assert delivery.position == Position(1, SENT_MS + 1)

    _on_a_stage(test)


def test_orders_are_kept_where_clients_can_not_write_and_not_for_ever() -> None:
    async def test(stage: Stage) -> None:
        assert layout.memory_key(NS) == Key("sessions", "ns:holders", "!")
        for number in range(2 * ORDERS_KEPT_S):
            await stage.orders.give(NS, "heartbeat:x-%d" % number)
        (item,) = await stage.store.get([layout.memory_key(NS)])
        assert len(Memory.of(item).orders) == ORDERS_KEPT_S + 1
        assert await stage.orders.gave(NS, "heartbeat:x-%d" % (2 * ORDERS_KEPT_S - 1))
        assert not await stage.orders.gave(NS, "heartbeat:x-0")

    _on_a_stage(test)


# --- sessions that are asked for ------------------------------------------------------------------

OPEN, ATTACH = Open(b"h" * 32, 4000, INBOX, None), Attach(9, b"p" * 16, INBOX, None)


@pytest.mark.parametrize("proof", ["none", "of another namespace", "of another connection", "its own"])
@pytest.mark.parametrize("request_", [OPEN, ATTACH], ids=["open", "attach"])
@pytest.mark.parametrize("behind", [False, True])
def test_who_asks_for_a_session_has_to_show_that_it_may(request_: Any, proof: str, behind: bool) -> None:
    """By an item that only who has the permission for the namespace can have written."""

    async def test(stage: Stage) -> None:
        if proof == "of another namespace":
            await stage.hello("other", INBOX)
        elif proof == "of another connection":
            await stage.hello(NS, OTHER)
        elif proof == "its own":
            await stage.hello(NS, INBOX)
        record = _sent(*([CREATE] if behind else []), request_)
        await stage.functions.writer([record])
        ((_, (delivery,)),) = stage.handed
        assert (delivery.body != b"") == (proof == "its own")

    _on_a_stage(test)


@pytest.mark.parametrize("proof, address", [(True, None), (False, None), (True, "10.0.0.1")])
@pytest.mark.parametrize("request_", [OPEN, ATTACH], ids=["open", "attach"])
def test_who_invokes_the_writer_for_a_session_has_to_show_that_it_may(
    request_: Any, proof: bool, address: Optional[str]
) -> None:
    async def test(stage: Stage) -> None:
        asked: List[Any] = []

        async def write_for(ns: str, body: bytes) -> Any:
            asked.append((ns, body))
            raise Refused("it was asked")

        stage.functions._service.writer.write_for = write_for  # type: ignore[method-assign]
        if proof:
            await stage.hello(NS, INBOX)
        body = encode(Message(INBOX, 0, 0, (request_._replace(address=address),)), KEY)
        refused = await stage.functions.direct(direct.event(NS, body), 20.0)
        assert "refused" in refused and asked == ([(NS, body)] if proof and address is None else [])

    _on_a_stage(test)


NEW = {"new": {"dataType": "String", "stringValue": "inbox"}}


@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("attributes", [NEW, {}, None, {"other": {}}], ids=str)
def test_what_answers_a_message_waits_for_an_inbox_that_is_new(attributes: Any, forged: bool) -> None:
    """Which only who has the session may say: an inbox that never comes would hold up the namespace."""

    async def test(stage: Stage) -> None:
        await stage.live()
        body = encode(Message(INBOX, SESSION, 1, (CREATE,)), b"another" if forged else KEY)
        more = {} if attributes is None else {"messageAttributes": attributes}
        await stage.functions.writer([{**_record(body), **more}])
        expected = attributes is NEW and not forged
        assert stage.queues.expected == ([(INBOX, (SENT_MS + 1) / 1000)] if expected else [])

    _on_a_stage(test)


@pytest.mark.parametrize("request_", [OPEN, ATTACH], ids=["open", "attach"])
@pytest.mark.parametrize("claim", [{"address": "10.0.0.1"}, {"address": ""}, {"subject": "CN=a"}, {"subject": ""}])
def test_nobody_says_what_address_or_certificate_it_has(request_: Any, claim: Dict[str, str]) -> None:
    """The queue does not know it: an ACL for one would be open to whoever claims that one."""

    async def test(stage: Stage) -> None:
        await stage.hello(NS, INBOX)
        await stage.functions.writer([_sent(request_._replace(**claim))])
        assert [delivery.body for _, batch in stage.handed for delivery in batch] == [b""]

    _on_a_stage(test)


def test_who_has_a_session_needs_no_proof_and_costs_no_read() -> None:
    async def test(stage: Stage) -> None:
        async def get(keys: Sequence[Key]) -> List[Any]:
            raise AssertionError("a read")

        stage.store.get = get  # type: ignore[method-assign]
        await stage.functions.writer([_sent(CREATE)])
        assert [delivery.body for _, batch in stage.handed for delivery in batch] != [b""]

    _on_a_stage(test)


@pytest.mark.parametrize("text", ["%%%", "AAA", "\u00e4"])
def test_what_is_no_text_of_bytes_is_no_message(text: str) -> None:
    async def test(stage: Stage) -> None:
        assert await stage.functions.writer([{**_sent(CREATE), "body": text}]) == []
        ((_, (delivery,)),) = stage.handed
        assert delivery.body == b"" and not delivery.internal

    _on_a_stage(test)


def test_what_is_no_text_of_bytes_can_be_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it came. Else it would come to the dead letter function again and again."""
    monkeypatch.setenv("FK_DEPLOYMENT", "d")

    async def test(stage: Stage) -> None:
        for text in ("AAA", "\u00e4"):
            assert await stage.functions.dead_letter([{**_sent(CREATE), "body": text}]) == []
            assert stage.stub.calls.pop().request["Body"] == text.encode()
        assert not stage.queues.pushed

    _on_a_stage(test)


# --- what comes again -----------------------------------------------------------------------------


def _named(path: str, number: int, receives: int = 1, ns: str = NS) -> Any:
    return _sent(CREATE._replace(path=path), first=number, number=number, receives=receives, ns=ns)


def test_groups_are_independent_and_a_batch_is_one() -> None:
    async def test(stage: Stage) -> None:
        stage.failures["/bad"] = Unavailable("later")
        records = [_named("/bad", 1), _named("/a", 2, ns="other"), _named("/b", 3), _named("/c", 4, ns="other")]
        assert await stage.functions.writer(records) == ["m1", "m3"]
        assert [(ns, _sequences(batch)) for ns, batch in stage.handed] == [("other", [2, 4])]
        assert stage.queues.again == [(["m1", "m3"], 2)]

    _on_a_stage(test)


@pytest.mark.parametrize("stuck_first", [True, False])
def test_a_group_that_is_stuck_holds_up_no_other_one(stuck_first: bool) -> None:
    """What it was handed comes again, before the function's time is up."""

    async def test(stage: Stage) -> None:
        write, loop = stage.functions._service.writer, asyncio.get_running_loop()

        async def stuck(ns: str, batch: Sequence[Delivery]) -> None:
            until = loop.time() + 0.5
            while ns == NS and loop.time() < until:
                await asyncio.sleep(0)
            await write(ns, batch)

        stage.functions._service.writer = stuck  # type: ignore[misc,assignment]
        records = [_named("/stuck", 1), _named("/a", 2, ns="other")]
        records = records if stuck_first else records[::-1]
        assert await stage.functions.writer(records, 0.05) == ["m1"]
        assert [ns for ns, _ in stage.handed] == ["other"]

    _on_a_stage(test)


def test_what_was_tried_before_is_tried_one_by_one_and_what_is_behind_a_failure_waits() -> None:
    async def test(stage: Stage) -> None:
        stage.failures["/bad"] = Unknown("later")
        records = [_named("/a", 1), _named("/bad", 2, receives=9), _named("/c", 3)]
        assert await stage.functions.writer(records) == ["m2", "m3"]
        assert [_sequences(batch) for _, batch in stage.handed] == [[1]]
        assert stage.queues.again == [(["m2", "m3"], handlers.MAX_RETRY_S)] and not stage.queues.pushed

    _on_a_stage(test)


@pytest.mark.parametrize("receives", [1, 2, handlers.BUG_TRIES, 20])
def test_what_meets_a_bug_again_and_again_is_set_aside_and_nothing_else(
    receives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FK_DEPLOYMENT", "d")

    async def test(stage: Stage) -> None:
        await stage.live()
        stage.failures["/bad"] = ZeroDivisionError("a bug")
        left = await stage.functions.writer([_named("/bad", 1, receives), _named("/b", 2, receives)])
        if receives < handlers.BUG_TRIES:
            assert left == ["m1", "m2"] and not stage.queues.pushed and not stage.stub.calls
            return
        assert left == [] and [_sequences(batch) for _, batch in stage.handed] == [[2]]
        (note,) = stage.queues.pushed
        answers = decode_note(note.body)
        assert (note.inbox, answers.first, answers.results) == (INBOX, 1, [[Error.DEAD_LETTERED, None, 0]])
        (kept,) = stage.stub.calls
        assert kept.request["Key"] == "dead/ns/m1" and kept.request["Bucket"] == "fk-d-123-eu-test-1"

    _on_a_stage(test)


def test_trouble_of_the_cloud_is_nobodys_fault_however_long_it_takes() -> None:
    async def test(stage: Stage) -> None:
        for error in (Unavailable("x"), Unknown("x")):
            stage.failures["/bad"] = error
            assert await stage.functions.writer([_named("/bad", 1, 20)]) == ["m1"]
        assert not stage.queues.pushed and not stage.stub.calls

    _on_a_stage(test)


def test_a_dead_letter_is_kept_before_its_sender_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FK_DEPLOYMENT", "d")

    async def test(stage: Stage) -> None:
        await stage.live()
        stage.stub.answers["put_object"] = [Unavailable("x")]
        record = _sent(CREATE, CREATE, first=5)
        with pytest.raises(Unavailable):
            await stage.functions.dead_letter([record])
        assert not stage.queues.pushed
        assert await stage.functions.dead_letter([record, _record(b"rubbish", number=2)]) == []
        (note,) = stage.queues.pushed
        assert note.upto == 7 and [call.request["Body"] for call in stage.stub.calls[1:]][1] == b"rubbish"

    _on_a_stage(test)


def _letter(body: bytes, number: int) -> Any:
    text = base64.b64encode(body).decode()
    return {"MessageId": "m%d" % number, "Body": text, "ReceiptHandle": "r", "Attributes": {"MessageGroupId": NS}}


def test_dead_letters_are_asked_for_until_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are gone when they are kept and their senders told."""
    monkeypatch.setenv("FK_DEPLOYMENT", "d")

    async def test(stage: Stage) -> None:
        await stage.live()
        body = encode(Message(INBOX, SESSION, 1, (CREATE,)), KEY)
        stage.queues.letters = [[_letter(body, 1), _letter(b"rubbish", 2)], [_letter(body, 3)], []]
        assert await stage.functions.dead_letters(10.0) == 3
        assert stage.queues.forgotten == ["m1", "m2", "m3"] and len(stage.queues.pushed) == 2
        assert await stage.functions.dead_letters(10.0) == 0
        stage.queues.letters = [[_letter(body, 4)]]
        assert await stage.functions.dead_letters(0.0) == 0, "no time is left"

    _on_a_stage(test)


def test_a_dead_letter_that_can_not_be_kept_comes_again_and_keeps_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FK_DEPLOYMENT", "d")

    async def test(stage: Stage) -> None:
        keep = stage.functions._keep

        async def failing(ns: str, message_id: str, body: bytes) -> None:
            if message_id == "m1":
                raise Unavailable("no bucket")
            await keep(ns, message_id, body)

        stage.functions._keep = failing  # type: ignore[method-assign]
        stage.queues.letters = [[_letter(b"one", 1), _letter(b"two", 2)]]
        with pytest.raises(Unavailable):
            await stage.functions.dead_letters(10.0)
        assert stage.queues.forgotten == ["m2"]

    _on_a_stage(test)


@pytest.mark.parametrize("forged", ["no session", "another key", "another inbox"])
def test_a_dead_letter_that_nobody_sent_is_answered_to_nobody(forged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FK_DEPLOYMENT", "d")

    async def test(stage: Stage) -> None:
        if forged != "no session":
            await stage.live()
        inbox = inbox_name(NS, b"other", bytes(4)) if forged == "another inbox" else INBOX
        message = Message(inbox, SESSION, 1, (CREATE,))
        body = encode(message, b"other" if forged == "another key" else KEY)
        assert await stage.functions.dead_letter([_record(body)]) == []
        assert not stage.queues.pushed and len(stage.stub.calls) == 1, "kept, and no more"

    _on_a_stage(test)


def test_a_tick_comes_again_when_it_is_due_or_has_failed_until_there_is_nothing_left() -> None:
    async def test(stage: Stage) -> None:
        stage.failures["bad"] = ZeroDivisionError("a bug")
        attributes = {"SentTimestamp": str(SENT_MS)}
        records = [{"body": body, "messageId": body, "attributes": attributes} for body in ("good", "bad", "rests")]
        assert await stage.functions.heartbeat(records) == ["good", "bad"]
        assert stage.queues.ticks == [("good", 7), ("bad", TICK_S)]

    _on_a_stage(test)


def test_a_tick_says_when_it_was_sent() -> None:
    assert Tick.of(NS, SENT_MS, "a") == Tick(NS, (SENT_MS, "a")) == Tick.of(NS + " 17", SENT_MS, "a")
    assert Tick.of(NS, SENT_MS, "b").sent < Tick.of(NS, SENT_MS + 1, "a").sent
    assert message_id("heartbeat:1", 1).startswith("heartbeat")
