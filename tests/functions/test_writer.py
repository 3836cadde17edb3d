"""The writer answers everything it can understand, refuses what nobody may ask, and survives everything else.

What comes from a queue may be anything. Whatever it is, what comes after it is served.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any, List, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fk_backend import codec, layout
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Attach, Auth, Close, Create, Delete, Expire, Multi, Open, Reap, Request, SetData
from fk_backend.errors import Conflict, StorageFull
from fk_backend.mac import tag
from fk_backend.messages import FORMAT, Message, encode
from fk_backend.ports import Delivery, Item, Key, Put, Remove
from fk_backend.providers.local.database import create as create_database
from fk_backend.providers.local.files import Place
from fk_backend.providers.local.store import LocalStore
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.triggers import ENTRY_BYTES, packed
from fk_backend.writer.distributor import keep

from .doubles import KEY, NS, PASSWORD, Bench


def _create(path: str, flags: int = 0) -> Create:
    return Create(path, b"", OPEN_ACL, flags, 0, False)


# --- what nobody may ask --------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [Expire, Reap])
def test_what_the_heartbeat_asks_is_refused_to_clients(request_: Any) -> None:
    """The whole message is set aside, also what else is in it; the next one is served."""

    async def check() -> None:
        bench = Bench()
        victim, client = await bench.open("victim"), await bench.open("client")
        await bench.ask("victim", victim, 1, _create("/c", 4), _create("/c/x"), Delete("/c/x", -1), _create("/e", 1))
        before = await bench.contents()
        asked = Expire(victim, 0) if request_ is Expire else Reap("/c", 0)
        await bench.write(Message("client", client, 1, (asked, _create("/too"))))
        assert await bench.contents() == before and 1 not in bench.told("client").answers
        assert (await bench.ask("client", client, 3, _create("/next")))[0][0] == Error.OK
        await bench.write(Message("heartbeat:1", 0, 1, (asked,)), internal=True)
        assert await bench.contents() != before

    asyncio.run(check())


# --- what is no message ---------------------------------------------------------------------------

texts = st.one_of(st.text(max_size=6), st.text(st.characters(categories=["Cs", "Cc"]), max_size=2), st.just("/a/b"))
numbers = st.one_of(st.integers(-3, 10), st.integers(), st.sampled_from((2**31, 2**53, 2**62, 2**63 - 1, -(2**63))))
junk: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, st.binary(max_size=4)),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)
kinds = st.sampled_from("Create Delete SetData SetAcl Check Multi Auth Open Attach Close Expire Reap Nonsense".split())
almost_requests = st.one_of(junk, st.builds(lambda kind, rest: [kind, *rest], kinds, st.lists(junk, max_size=7)))
acls = st.lists(st.tuples(numbers, texts, texts), max_size=3).map(lambda entries: [list(entry) for entry in entries])
well_formed = st.one_of(
    st.builds(lambda p, d, a, f, t: ["Create", p, d, a, f, t, False], texts, st.binary(), acls, numbers, numbers),
    st.builds(lambda p, a, v: ["SetAcl", p, a, v], texts, acls, numbers),
    st.builds(lambda p, v: ["Delete", p, v], texts, numbers),
    st.builds(lambda s, c: ["Auth", s, c], st.sampled_from(("digest", "ip", "x")), texts),
    st.builds(lambda h, t, i, a: ["Open", h, t, i, a], st.binary(), numbers, texts, st.none() | texts),
    st.builds(lambda s, p, i: ["Attach", s, p, i, None], numbers, st.binary(), texts),
)
forged = st.builds(
    lambda inbox, session, first, requests, hint: _tagged(inbox, session, first, requests, *hint),
    st.one_of(texts, st.sampled_from(("client", "heartbeat:0"))),
    numbers,
    numbers,
    st.lists(st.one_of(almost_requests, well_formed), max_size=4),
    st.lists(junk, max_size=2),
)


def _tagged(*fields: Any) -> bytes:
    payload = codec.dumps([FORMAT, *fields])
    return payload + tag(payload, KEY)


def _mutated(body: bytes, changes: Sequence[Any]) -> bytes:
    mutable = bytearray(body)
    for position, value in changes:
        mutable[position % len(mutable)] = value
    return bytes(mutable)


VALID = encode(
    Message(
        "client", 1, 1, (_create("/a"), Multi((SetData("/a", b"xyz", -1), Delete("/a", 0))), Auth("digest", "u:p"))
    ),
    KEY,
)
mutated = st.builds(
    _mutated, st.just(VALID), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4)
)
bodies = st.one_of(st.binary(max_size=60), mutated, forged, st.integers(0, len(VALID)).map(lambda n: VALID[:n]))


@settings(max_examples=300, deadline=None)
@given(st.lists(bodies, min_size=1, max_size=4))
def test_no_bytes_stop_the_writer_or_what_comes_after_them(rubbish: List[bytes]) -> None:
    async def check() -> None:
        bench = Bench()
        session = await bench.open("client")
        batch = [Delivery(body, False) for body in rubbish]
        batch.append(Delivery(encode(Message("good", 0, 0, (Open(b"", 1000, "good", None),))), False))
        await bench.writer(NS, batch)
        assert bench.told("good").answers[0][0] == Error.OK
        assert (await bench.ask("other", session, 0, _create("/x")))[0][0] == Error.SESSION_MOVED

    asyncio.run(check())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where a deployment is."""
    found = Place(str(tmp_path_factory.mktemp("deployment")))
    create_database(found.state, ("state", "sessions"))
    create_database(found.interest, ("interest",))
    return found


_names = itertools.count()


@settings(max_examples=100, deadline=None)
@given(st.lists(forged, min_size=1, max_size=6))
def test_nor_do_they_on_sqlite(place: Place, rubbish: List[bytes]) -> None:
    """What a dict can hold, a database may not be able to: half a surrogate, an integer too long."""

    async def check() -> None:
        store, good = LocalStore(place, writable_state=True), "good%d" % next(_names)
        bench = Bench(store)
        try:
            await bench.writer(NS, [Delivery(body, False) for body in rubbish])
            session = await bench.open(good)
            assert (await bench.ask(good, session, 1, Delete("/none", -1), Close()))[1][0] == Error.OK
        finally:
            store.close()

    asyncio.run(check())


def test_a_batch_of_nothing_is_done() -> None:
    async def check() -> None:
        bench = Bench()
        await bench.write(Message("client", 0, 1, ()))
        assert bench.inboxes.pushed == [] and await bench.contents() == {}

    asyncio.run(check())


def test_a_message_twice_in_one_batch_is_applied_once() -> None:
    async def check() -> None:
        bench = Bench()
        session = await bench.open("client")
        message = Message("client", session, 1, (_create("/s-", 2), _create("/s-", 2)))
        await bench.write(message, message)
        told = bench.told("client").answers
        assert [told[number][1] for number in (1, 2)] == ["/s-0000000000", "/s-0000000001"] and 3 not in told
        assert len([key for key in await bench.contents() if key.partition.startswith("ns:/s-")]) == 2

    asyncio.run(check())


# --- what the store refuses -----------------------------------------------------------------------


class RefusingStore(MemoryStore):
    """Refuses the next commits of STATE with these errors."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: List[Exception] = []

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        if self.refusals and any(isinstance(write, Put) and write.key.table == "state" for write in writes):
            raise self.refusals.pop(0)
        await super().commit(writes)


def test_a_full_disk_is_told_to_every_sender_and_changes_nothing() -> None:
    async def check() -> None:
        store = RefusingStore()
        bench = Bench(store)
        one, two = await bench.open("one"), await bench.open("two")
        await bench.watch("one", "/a", watches.DATA, 1)
        before = await bench.contents()
        store.refusals.append(StorageFull("no room"))
        await bench.write(
            Message("one", one, 1, (_create("/a"), Delete("/none", -1))), Message("two", two, 1, (_create("/b"),))
        )
        assert [bench.told("one").answers[n][0] for n in (1, 2)] == [Error.STORAGE_FULL] * 2
        assert bench.told("two").answers[1][0] == Error.STORAGE_FULL
        assert await bench.contents() == before and not bench.told("one").fired
        assert (await bench.ask("one", one, 3, _create("/a")))[0][0] == Error.OK
        assert bench.told("one").fired == {("/a", watches.DATA, 1)}

    asyncio.run(check())


def test_a_writer_that_lost_its_batch_stops_and_answers_nothing() -> None:
    """The other one was first: its commit is what counts, and its answers are the only ones."""

    async def check() -> None:
        bench = Bench()
        session = await bench.open("client")
        zombie = bench.fresh_writer()
        await zombie.recover(NS)
        stale = await bench.head()
        await bench.ask("client", session, 1, _create("/a"))
        before, pushes = await bench.contents(), len(bench.inboxes.pushed)

        class Behind:
            """The store as it was for whoever reads, as it is for whoever writes."""

            def __getattr__(self, name: str) -> Any:
                return getattr(bench.store, name)

            async def get(self, keys: Sequence[Key]) -> List[Any]:
                """The old head."""
                found = await bench.store.get(keys)
                return [layout.head_item(stale) if key == layout.head_key(NS) else one for key, one in zip(keys, found)]

            load = get

        zombie._ports = zombie._ports._replace(store=Behind())
        with pytest.raises(Conflict):
            await zombie(NS, [Delivery(encode(Message("client", session, 1, (_create("/b"),)), KEY), False)])
        assert await bench.contents() == before and bench.inboxes.pushed[pushes:] == []

    asyncio.run(check())


# --- the list in the head -------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), max_size=20), st.integers(0, 20), st.integers(0, 30))
def test_only_confirmed_triggers_leave_the_head(sizes: List[int], confirmed: int, most: int) -> None:
    """Oldest first, all of a zxid together, and no more than has to go."""
    from fk_backend.core.model import Trigger

    triggers = [Trigger(zxid, "/%d" % i, 1) for zxid, size in enumerate(sizes, 10) for i in range(size)]
    each = len("/0") + ENTRY_BYTES
    kept, dropped = keep(triggers, confirmed + 9, most * each)
    assert list(kept) == [trigger for trigger in triggers if trigger.zxid > dropped]
    assert dropped <= min(confirmed, len(sizes)) + 9
    assert len(kept) <= most or not kept or kept[0].zxid > confirmed + 9
    if dropped:
        assert len([trigger for trigger in triggers if trigger.zxid >= dropped]) > most


@given(st.lists(st.sampled_from((None, ("x" * 16,), ("y" * 16, "z" * 16))), max_size=12), st.integers(0, 300))
def test_who_may_know_counts_for_the_size_of_the_list(readers: List[Any], most: int) -> None:
    """Once for each ACL, as it is stored."""
    from fk_backend.core.model import Trigger

    triggers = [Trigger(zxid, "/n", 1, who) for zxid, who in enumerate(readers, 10)]
    kept, dropped = keep(triggers, 100, most)
    assert len(json.dumps(packed(kept), separators=(",", ":"))) <= most + 2
    if dropped:  # no more than has to go
        assert len(json.dumps(packed(triggers[dropped - 10 :]), separators=(",", ":"))) > most * 0.6 - 20


def test_every_trigger_after_since_is_in_the_head() -> None:
    async def check() -> None:
        bench = Bench()
        bench.store.capabilities = bench.store.capabilities._replace(recent_bytes=500)
        session = await bench.open("client")
        known: List[Any] = []
        for number in range(1, 60):
            await bench.ask("client", session, number, _create("/n%d" % number))
            head = await bench.head()
            known.extend(trigger for trigger in head.triggers if trigger.zxid == head.zxid)
            assert list(head.triggers) == [trigger for trigger in known if trigger.zxid > head.since]
            assert head.since <= head.confirmed < head.zxid
            assert len(layout.head_item(head).body) < 400 + bench.store.capabilities.recent_bytes
        assert head.since > 0

    asyncio.run(check())


def test_sessions_are_fenced_by_password_and_connection() -> None:
    async def check() -> None:
        bench = Bench()
        session = await bench.open("one")

        async def attach(inbox: str, password: bytes) -> int:
            return int((await bench.ask(inbox, 0, 0, Attach(session, password, inbox, None)))[0][0])

        assert await attach("two", b"x" * 16) == Error.SESSION_EXPIRED
        assert await attach("three", PASSWORD) == Error.OK
        assert (await bench.ask("one", session, 1, _create("/a")))[0][0] == Error.SESSION_MOVED
        assert (await bench.ask("three", session, 1, _create("/a")))[0][0] == Error.OK

    asyncio.run(check())


def test_a_registration_that_nobody_can_drop_does_not_hold_up_anybody() -> None:
    """Tidying up needs room; answers don't."""

    async def check() -> None:
        class FullInterest(MemoryStore):
            async def commit(self, writes: Sequence[object]) -> None:
                if any(isinstance(write, Remove) and write.key.table == "interest" for write in writes):
                    raise StorageFull("no room")
                await super().commit(writes)

        bench = Bench(FullInterest())
        session = await bench.open("client")
        await bench.watch("client", "/a", watches.DATA, 1)
        assert (await bench.ask("client", session, 1, _create("/a")))[0][0] == Error.OK
        assert bench.told("client").fired == {("/a", watches.DATA, 1)}
        assert (await bench.ask("client", session, 2, _create("/b")))[0][0] == Error.OK

    asyncio.run(check())


def test_beats_of_a_namespace_can_hold_anything() -> None:
    """Clients write there."""

    async def check() -> None:
        bench = Bench()
        await bench.store.commit([Put(Key("interest", layout.beats_partition(NS), "no number"), Item(1, b""))])
        session = await bench.open("client")
        request: Request = Close()
        assert (await bench.ask("client", session, 1, request))[0][0] == Error.OK

    asyncio.run(check())
