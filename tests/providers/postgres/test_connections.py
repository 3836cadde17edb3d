"""Connections of one process: what becomes of a statement whose caller is gone, and of connections nobody needs."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Dict, List

import pytest

from fk_backend.errors import Unknown
from fk_backend.providers.postgres import connections
from fk_backend.providers.postgres.connections import Connections
from fk_backend.providers.postgres.place import Place


class PretendedConnection:
    """Answers when it may."""

    def __init__(self, may_answer: asyncio.Event) -> None:
        self._may_answer = may_answer
        self.ended = ""
        self._closed = False

    async def fetch(self, sql: str, *arguments: Any, timeout: Any = None) -> List[Any]:
        try:
            await self._may_answer.wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "answered"
        if sql == "fails":
            raise OSError("no answer")
        return [sql]

    def is_closed(self) -> bool:
        return self._closed

    def terminate(self) -> None:
        self._closed = True

    async def close(self, timeout: float) -> None:
        self._closed = True


class Pretended(Connections):
    """Opens no real ones."""

    def __init__(self) -> None:
        super().__init__(Place("app@127.0.0.1/none", {}))
        self.may_answer = asyncio.Event()
        self.opened: List[PretendedConnection] = []

    async def open(self) -> Any:
        self.opened.append(PretendedConnection(self.may_answer))
        return self.opened[-1]


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("sql", ["answers", "fails"])
def test_a_write_is_waited_for_though_its_caller_is_gone(is_open: bool, sql: str) -> None:
    async def run() -> None:
        complaints: List[Dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        pool = Pretended()
        if is_open:
            pool.may_answer.set()
            await pool.write("SELECT 1")
            pool.may_answer.clear()
        writing = asyncio.ensure_future(pool.write(sql))
        await until(lambda: len(pool.opened) == 1)
        pool.opened[0].ended = ""
        for _ in range(5):  # by then it waits for the answer
            await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert pool.opened[0].ended == ""
        pool.may_answer.set()
        await until(lambda: pool.opened[0].ended)
        assert pool.opened[0].ended == "answered"
        await pool.close()
        del writing
        gc.collect()
        await asyncio.sleep(0)
        assert complaints == []  # an error that nobody waits for is nobody's

    asyncio.run(run())


def test_a_write_fails_as_its_statement_does() -> None:
    async def run() -> None:
        pool = Pretended()
        pool.may_answer.set()
        with pytest.raises(Unknown):
            await pool.write("fails")

    asyncio.run(run())


def test_however_many_statements_there_are_one_timer_closes_what_nobody_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.05)

    async def run() -> None:
        pool, loop = Pretended(), asyncio.get_running_loop()
        timers: List[float] = []
        real = loop.call_later
        monkeypatch.setattr(loop, "call_later", lambda *arguments: timers.append(arguments[0]) or real(*arguments))
        writes = [asyncio.ensure_future(pool.write("SELECT 1")) for _ in range(2)]
        await until(lambda: len(pool.opened) == 2)
        pool.may_answer.set()
        await asyncio.gather(*writes)
        for _ in range(100):
            await pool.write("SELECT 1")
        assert len(timers) <= 2
        await asyncio.wait_for(until(lambda: pool.opened[0].is_closed() or pool.opened[1].is_closed()), 5)
        assert [each.is_closed() for each in pool.opened].count(False) == 1  # the last one stays
        await pool.close()

    asyncio.run(run())
