"""A direct message from elsewhere: who sent it is proved, it is fenced, and it spoils nothing that comes again."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, List

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Attach, Auth, Check, Close, Create, Delete, Open, SetData
from fk_backend.core.watches import DATA
from fk_backend.errors import Conflict, Refused, Unavailable, Unknown
from fk_backend.functions import writer as writer_module
from fk_backend.functions.writer import Writer
from fk_backend.mac import inbox_name
from fk_backend.messages import Message, Position, encode
from fk_backend.ports import UNLIMITED, Capabilities, Delivery
from fk_backend.providers.memory.store import MemoryStore

from .doubles import KEY, NS, PASSWORD, Bench, Crash, Doom

Play = Callable[[Bench, int], Awaitable[None]]


def create(path: str, flags: int = 0) -> Create:
    """A create with nothing special about it."""
    return Create(path, b"old", OPEN_ACL, flags, 0, False)


def on_bench(play: Play, limits: Capabilities = UNLIMITED) -> None:
    """Runs a test, with sessions at "one" and "two", and a node /a."""

    async def run() -> None:
        bench = Bench(MemoryStore(limits))
        bench.writer = sharing(bench)
        session = await bench.open("one")
        await bench.open("two")
        await bench.ask("one", session, 1, create("/a"))
        await play(bench, session)

    asyncio.run(run())


def sharing(bench: Bench, doom: Any = None) -> Writer:
    """A writer that knows nothing, and of others."""
    return Writer(bench.ports(doom), shares=True)


async def invoke(writer: Writer, session: int, request: Any, key: bytes = KEY, inbox: str = "one", **more: Any) -> Any:
    """What a direct message comes to."""
    message = Message(inbox, session, 2, (request,), **more)
    return await writer.write_for(NS, encode(message, key))


def queued(session: int, number: int, *requests: Any, sequence: int) -> List[Delivery]:
    """A batch of one message of the queue."""
    body = encode(Message("one", session, number, requests), KEY)
    return [Delivery(body, False, Position(sequence))]


def test_it_is_done_and_told_and_its_sender_alone_is_answered() -> None:
    async def play(bench: Bench, session: int) -> None:
        await bench.watch("two", "/a", DATA, 1)
        before = len(bench.inboxes.pushed)
        written, conflicts = await invoke(bench.writer, session, SetData("/a", b"new", -1))
        head = await bench.head()
        assert written.result.code == Error.OK and written.zxid == head.zxid and conflicts == 0
        assert [pushed.inbox for pushed in bench.inboxes.pushed[before:]] == ["two"] and head.answers == ()
        failed, _ = await invoke(bench.writer, session, Delete("/none", -1))
        assert failed.result.code == Error.NO_NODE and (await bench.head()).zxid == head.zxid

    on_bench(play)


@pytest.mark.parametrize(
    "request_, key",
    [
        (SetData("/a", b"x", -1), b"another key"),
        (Close(), b"another key"),
        (Auth("digest", "a:b"), b"another key"),
        (Check("/a", -1), KEY),
    ],
    ids=["forged", "forged end", "forged credential", "check alone"],
)
def test_what_nobody_may_send_so_is_refused(request_: Any, key: bytes) -> None:
    async def play(bench: Bench, session: int) -> None:
        before = await bench.contents()
        with pytest.raises(Refused):
            await invoke(bench.writer, session, request_, key)
        with pytest.raises(Refused):
            await bench.writer.write_for(NS, b"garbage" * 9)
        with pytest.raises(Refused):
            await bench.writer.write_for("no/namespace", encode(Message("one", session, 2, (create("/b"),)), KEY))
        assert await bench.contents() == before

    on_bench(play)


def test_a_session_begins_and_ends_without_a_queue() -> None:
    async def play(bench: Bench, _: int) -> None:
        pushed = len(bench.inboxes.pushed)
        name, more = inbox_name(NS, KEY, b"0001"), inbox_name(NS, KEY, b"0002")
        opened, _ = await invoke(bench.writer, 0, Open(KEY, 5000, name, None), inbox=name)
        session, timeout_ms, _ = opened.result.value
        assert timeout_ms == 5000
        moved, _ = await invoke(bench.writer, 0, Attach(session, PASSWORD, more, None), inbox=more)
        assert moved.result.value[0] == session and bench.inboxes.dropped == [name]
        proved, _ = await invoke(bench.writer, session, Auth("digest", "a:b"), inbox=more)
        assert [scheme for scheme, _ in proved.result.value] == ["digest"]
        assert (await invoke(bench.writer, session, Close(), inbox=name))[0].result.code == Error.SESSION_MOVED
        assert (await invoke(bench.writer, session, Close(), inbox=more))[0].result.code == Error.OK
        assert (await invoke(bench.writer, session, Close(), inbox=more))[0].result.code == Error.SESSION_EXPIRED
        wrong, _ = await invoke(bench.writer, 0, Attach(session, b"wrong", "four", None), inbox="four")
        assert wrong.result.code == Error.SESSION_EXPIRED and len(bench.inboxes.pushed) == pushed

    on_bench(play)


def test_the_queue_of_a_client_that_attaches_again_stays() -> None:
    async def play(bench: Bench, _: int) -> None:
        name = inbox_name(NS, KEY, b"0001")
        opened, _ = await invoke(bench.writer, 0, Open(KEY, 5000, name, None), inbox=name)
        attach = Attach(opened.result.value[0], PASSWORD, name + "-1", None)
        assert (await invoke(bench.writer, 0, attach, inbox=name + "-1"))[0].result.code == Error.OK
        assert bench.inboxes.dropped == []

    on_bench(play)


def test_a_session_asks_at_its_own_inbox_alone() -> None:
    async def play(bench: Bench, session: int) -> None:
        others = inbox_name(NS, b"another", b"0001")
        for request in (Open(KEY, 5000, others, None), Attach(session, PASSWORD, others, None)):
            with pytest.raises(Refused):
                await invoke(bench.writer, 0, request, inbox=others)
            with pytest.raises(Refused):
                await invoke(bench.writer, 0, request, inbox="three")

    on_bench(play)


def test_an_end_that_takes_several_commits_is_left_to_what_comes_again() -> None:
    async def play(bench: Bench, session: int) -> None:
        for number in range(8):
            await bench.ask("one", session, 2 + number, create("/e%d" % number, 1))
        before = await bench.contents()
        with pytest.raises(Refused):
            await invoke(sharing(bench), session, Close())
        assert await bench.contents() == before

    on_bench(play, Capabilities(writes=15))


def test_one_that_is_late_is_fenced_by_the_connection_after_it() -> None:
    async def play(bench: Bench, session: int) -> None:
        frozen = sharing(bench)
        await invoke(frozen, session, SetData("/a", b"1", -1))
        await bench.ask("three", 0, 0, Attach(session, PASSWORD, "three", None))
        written, conflicts = await invoke(frozen, session, SetData("/a", b"late", -1))
        assert written.result.code == Error.SESSION_MOVED and conflicts == 1

    on_bench(play)


def test_what_is_done_of_a_message_that_comes_again_is_kept() -> None:
    """Committed, or promised and kept, before its writer died and somebody else wrote."""

    def comes_again(limits: Capabilities) -> None:
        async def play(bench: Bench, session: int) -> None:
            for calls in range(1, 40):
                batch = queued(session, 1 + calls, SetData("/a", b"x", -1), sequence=calls)
                version = await version_of(bench)
                over = False
                try:
                    await sharing(bench, Doom(calls, after=True))(NS, batch)
                    over = True
                except Crash:
                    pass
                await invoke(sharing(bench), session, create("/n%d" % calls))
                await sharing(bench)(NS, batch)
                assert await version_of(bench) == version + 1, "crashed after call %d" % calls
                if over:
                    return
            raise AssertionError("it never ends")

        on_bench(play, limits)

    comes_again(UNLIMITED)
    comes_again(Capabilities(transactions_cost_double=True))


async def version_of(bench: Bench) -> int:
    """Of /a."""
    (item,) = await bench.store.get([layout.node_keys(NS, "/a")[0]])
    return layout.node_of(item).version


def test_what_is_cut_is_not_begun_anew() -> None:
    """See `step.unfinished`: the first half of a message was committed, and its writer is gone."""

    async def play(bench: Bench, session: int) -> None:
        bench.store.capabilities = bench.store.capabilities._replace(writes=5)
        batch = queued(session, 2, create("/q-", 2), create("/q-", 2), create("/q-", 2), sequence=9)
        for calls in range(1, 60):
            try:
                await sharing(bench, Doom(calls))(NS, batch)
            except Crash:
                if (await bench.head()).answers and (await bench.head()).handled.sequence == 8:
                    break
        await invoke(sharing(bench), session, SetData("/a", b"between", -1))
        await sharing(bench)(NS, batch)
        names = [key.partition for key in await bench.contents() if "/q-" in key.partition and key.sort == layout.NODE]
        assert len(set(names)) == 3

    on_bench(play)


def test_what_failed_in_the_queue_is_not_judged_anew() -> None:
    """It was answered, its writer died, and somebody made that it would not fail any more."""

    async def play(bench: Bench, session: int) -> None:
        batch = queued(session, 2, create("/a"), sequence=5)
        await sharing(bench)(NS, batch)
        assert bench.told("one").answers[2][0] == Error.NODE_EXISTS
        await invoke(sharing(bench), session, Delete("/a", -1))
        await sharing(bench)(NS, batch)
        (item,) = await bench.store.get([layout.node_keys(NS, "/a")[0]])
        assert item is None

    on_bench(play)


def test_what_has_to_begin_is_left_to_what_comes_again() -> None:
    """The first ephemeral wakes the heartbeat, after its commit: if that is lost, nobody would look after it."""

    async def play(bench: Bench, session: int) -> None:
        with pytest.raises(Refused):
            await invoke(bench.writer, session, create("/e", 1))
        await bench.ask("one", session, 2, create("/e", 1))
        written, _ = await invoke(bench.writer, session, create("/f", 1))
        assert written.result.code == Error.OK

    on_bench(play)


def test_what_is_unknown_before_its_commit_is_definite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fan-out of somebody else's commit failed: nothing of one's own was begun. After it, nobody can tell."""

    async def play(bench: Bench, session: int) -> None:
        async def fails(*_: Any) -> None:
            raise Unknown("no answer")

        monkeypatch.setattr(writer_module, "distribute", fails)
        before = (await bench.head()).zxid
        with pytest.raises(Unavailable):
            await invoke(sharing(bench), session, SetData("/a", b"x", -1))
        assert (await bench.head()).zxid == before
        with pytest.raises(Unknown):
            await invoke(bench.writer, session, SetData("/a", b"x", -1))
        assert (await bench.head()).zxid == before + 1

    on_bench(play)


def test_who_is_always_second_leaves_it_to_the_queue_which_tries_again_at_once() -> None:
    async def play(bench: Bench, session: int) -> None:
        commit, lost = bench.store.commit, 0

        async def beaten(writes: Any) -> None:
            nonlocal lost
            if lost < 3:
                lost += 1
                raise Conflict("somebody else wrote")
            await commit(writes)

        bench.store.commit = beaten
        with pytest.raises(Conflict):
            await invoke(bench.writer, session, SetData("/a", b"x", -1))
        assert lost == 2
        lost = 0
        await sharing(bench)(NS, queued(session, 2, SetData("/a", b"y", -1), sequence=7))
        assert lost == 3 and bench.told("one").answers[2][0] == Error.OK

    on_bench(play)


@pytest.mark.parametrize(
    "limits", [UNLIMITED, Capabilities(transactions_cost_double=True, has_latency=True)], ids=["whole", "promised"]
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whichever_call_was_its_last_it_was_done_or_not_and_never_comes_late(limits: Capabilities, after: bool) -> None:
    """The function dies at each of its calls; its client attaches anew; what it had asked arrives once more, late."""
    outcomes = set()

    async def play(bench: Bench, session: int) -> None:
        for call in range(1, 40):
            inbox = "three%d" % call
            await bench.ask(inbox, 0, 0, Attach(session, PASSWORD, inbox, None))
            await bench.watch("two", "/a", DATA, call)
            version = await version_of(bench)
            doomed, over = sharing(bench, Doom(call, after)), False
            try:
                await invoke(doomed, session, SetData("/a", b"x", -1), inbox=inbox)
                over = True
            except Crash:
                pass
            bench.writer = sharing(bench)
            await bench.ask(inbox + "b", 0, 0, Attach(session, PASSWORD, inbox + "b", None))
            done = await version_of(bench) - version
            outcomes.add(done)
            late, _ = await invoke(sharing(bench), session, SetData("/a", b"late", -1), inbox=inbox)
            assert late.result.code == Error.SESSION_MOVED and await version_of(bench) == version + done
            assert (("/a", DATA, call) in bench.told("two").fired) == bool(done), "call %d" % call
            if over:
                assert done == 1
                return
            await bench.ask(inbox + "b", session, 1, SetData("/a", b"to have it told", -1))
        raise AssertionError("it never ends")

    on_bench(play, limits)
    assert outcomes == {0, 1}
