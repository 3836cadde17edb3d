"""An instance that was overtaken knows it by the hint of a message, and a hint that is wrong harms nobody else."""

from __future__ import annotations

import asyncio
from typing import Any, List, Sequence

import pytest

from fk_backend import layout
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, SetData
from fk_backend.errors import Conflict, Unknown
from fk_backend.functions.writer import Writer
from fk_backend.messages import Message, decode_note
from fk_backend.ports import Capabilities
from fk_backend.providers.memory.store import MemoryStore

from .doubles import NS, Bench, deliveries

CREATE = Create("/a", b"", OPEN_ACL, 0, 0, False)


class Counting(MemoryStore):
    """Remembers what was asked of it, and which commits failed."""

    def __init__(self, remote: bool = False) -> None:
        super().__init__(Capabilities(has_latency=remote))
        self.asked: List[str] = []

    async def get(self, keys: Sequence[Any]) -> List[Any]:
        """`ports.Store.get`."""
        self.asked.append("get")
        return await super().get(keys)

    async def load(self, keys: Sequence[Any]) -> List[Any]:
        """`ports.Store.load`."""
        self.asked.append("load")
        return await super().get(keys)

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`."""
        try:
            await super().commit(writes)
        except Conflict:
            self.asked.append("conflict")
            raise
        self.asked.append("commit")


class Overtaken:
    """A session at inbox "one", and an instance that made the last commit but one."""

    def __init__(self, remote: bool = False) -> None:
        self.store = Counting(remote)
        self.bench = Bench(self.store)
        self.session = 0
        self.pushed = 0

    async def begin(self) -> Writer:
        """The instance. The bench's own one made the last commit."""
        self.session = await self.bench.open("one")
        behind = self.bench.writer
        await self.bench.ask("one", self.session, 1, CREATE)
        self.bench.writer = self.bench.fresh_writer()
        await self.bench.ask("one", self.session, 2, self.change(b"1"))
        self.store.asked.clear()
        self.pushed = len(self.bench.inboxes.pushed)
        return behind

    def change(self, data: bytes) -> SetData:
        """A request."""
        return SetData("/a", data, -1)

    async def hand(self, writer: Writer, answered: int) -> None:
        """Request 3, with a hint."""
        message = Message("one", self.session, 3, (self.change(b"2"),), answered)
        await writer(NS, deliveries([message]))

    def told_again(self) -> List[int]:
        """First numbers of the answers that were pushed since."""
        return [decode_note(pushed.body).first for pushed in self.bench.inboxes.pushed[self.pushed :]]


@pytest.mark.parametrize("hint", [True, False])
def test_an_instance_that_was_overtaken_makes_no_commit_that_must_fail(hint: bool) -> None:
    """If the sender had an answer of who overtook it. Without a hint the commit finds out."""

    async def check() -> None:
        stage = Overtaken()
        behind = await stage.begin()
        await stage.hand(behind, (await stage.bench.head()).zxid if hint else 0)
        assert stage.store.asked.count("conflict") == (0 if hint else 1)
        assert stage.bench.told("one").answers[3][0] == Error.OK

    asyncio.run(check())


@pytest.mark.parametrize("answered", [-1, 1, 1 << 62])
def test_a_wrong_hint_costs_a_read(answered: int) -> None:
    """Whatever it is, to an instance that was not overtaken."""

    async def check() -> None:
        stage = Overtaken()
        await stage.begin()
        await stage.hand(stage.bench.writer, answered)
        assert stage.store.asked == (["load", "load", "commit"] if answered > 1 else ["commit"])
        assert stage.bench.told("one").answers[3][0] == Error.OK

    asyncio.run(check())


@pytest.mark.parametrize("lag", [0, 1])
def test_who_has_its_answers_is_not_told_them_again(lag: int) -> None:
    """But everybody else is told what the last commit left to tell, events above all."""

    async def check() -> None:
        stage = Overtaken()
        behind = await stage.begin()
        await stage.bench.watch("two", "/a", watches.DATA, 5)  # as if the last fan-out had not found it
        await stage.hand(behind, (await stage.bench.head()).zxid - lag)
        assert stage.bench.told("two").fired == {("/a", watches.DATA, 5)}
        one = [pushed for pushed in stage.bench.inboxes.pushed[stage.pushed :] if pushed.inbox == "one"]
        assert [decode_note(pushed.body).first for pushed in one] == ([3] if lag == 0 else [2, 3])

    asyncio.run(check())


def test_what_is_needed_is_loaded_while_the_last_commit_is_told() -> None:
    """Where requests take long; and what is not told is not followed by a commit."""

    async def check() -> None:
        stage = Overtaken(remote=True)
        behind = await stage.begin()
        loaded, push = asyncio.Event(), stage.bench.inboxes.push
        load = stage.store.load

        async def load_and_say(keys: Any) -> Any:
            if layout.head_key(NS) not in keys:
                loaded.set()
            return await load(keys)

        async def push_late(messages: Any) -> None:
            await loaded.wait()
            await push(messages)

        async def fail(messages: Any) -> None:
            raise OSError("no way")

        stage.store.load, stage.bench.inboxes.push = load_and_say, fail  # type: ignore[method-assign]
        before = (await stage.bench.head()).zxid
        with pytest.raises(Unknown):
            await stage.hand(behind, 0)
        assert (await stage.bench.head()).zxid == before
        stage.bench.inboxes.push = push_late  # type: ignore[method-assign]
        loaded.clear()
        await asyncio.wait_for(stage.hand(behind, 0), 10)
        assert stage.told_again() == [2, 3] and (await stage.bench.head()).zxid == before + 1

    asyncio.run(check())
