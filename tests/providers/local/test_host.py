"""What one process does for all: somebody does it, whoever ends or is stopped."""

from __future__ import annotations

import asyncio
from typing import Any, List

import pytest

from fk_backend import layout
from fk_backend.core.requests import Close, Create
from fk_backend.functions.heartbeat import Heartbeat
from fk_backend.ports import STATE
from fk_backend.providers import local
from fk_backend.providers.local import files, host
from fk_backend.session.engine import Session

from .test_direct import MADE, NS, Scene, Subscriber, done, play

CLOSE = Close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(host, "WATCH_S", 0.01)
    monkeypatch.setattr(host, "TICK_S", 0.01)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch, place: files.Place) -> List[Any]:
    """The heartbeats that looked here, one after the other: other deployments may still be open in this process."""
    found: List[Any] = []
    look = Heartbeat.__call__

    async def noted(self: Heartbeat, ns: str) -> bool:
        store: Any = self._ports.store
        if store._paths[STATE] == place.state:
            found.append(self)
        return await look(self, ns)

    monkeypatch.setattr(Heartbeat, "__call__", noted)
    return found


def test_one_looks_after_all_and_then_the_next_one(place: files.Place, ticks: List[Any]) -> None:
    async def scene(on: Scene) -> None:
        await on.until(lambda: len(ticks) > 2)
        assert set(ticks) == {on.host.host._heartbeat}
        on.at_host.end("lost", "over")
        await on.host.close()
        on.host = on.other
        ticks.clear()
        await on.until(lambda: len(ticks) > 2)
        assert set(ticks) == {on.other.host._heartbeat} and on.other.host.lock is not None

    play(scene)


def test_a_host_that_stands_still_is_stood_in_for(
    place: files.Place, ticks: List[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it goes on."""

    async def scene(on: Scene) -> None:
        on.other.host._patience_s = 0.1
        goes_on = asyncio.Event()
        due = on.host.host._is_due
        look_after = on.host.host._tick

        async def stopped() -> None:
            await goes_on.wait()
            await look_after()

        monkeypatch.setattr(on.host.host, "_tick", stopped)
        ticks.clear()
        await on.until(lambda: len(ticks) > 2)
        assert set(ticks) == {on.other.host._heartbeat} and on.other.host.lock is None
        goes_on.set()
        await on.until(lambda: on.host.host._heartbeat in ticks)
        await asyncio.sleep(0.05)
        ticks.clear()
        await on.until(lambda: len(ticks) > 3)
        assert set(ticks) == {on.host.host._heartbeat} and due

    play(scene)


def test_who_does_not_beat_any_more_expires_whichever_process_it_is_of(place: files.Place) -> None:
    async def scene(on: Scene) -> None:
        session = Session(on.other, NS, Subscriber())
        await session.open(1000)
        done(session.write_now(Create("/e", b"", MADE.acl, 1, 0, False)))
        for task in session._tasks:
            task.cancel()
        (there,) = await on.host.store.get([layout.session_key(NS, session.id)])
        assert there is not None
        while there is not None:
            await asyncio.sleep(0.01)
            (there,) = await on.host.store.get([layout.session_key(NS, session.id)])

    play(scene)


def test_where_nothing_is_to_be_looked_after_nobody_looks(place: files.Place, ticks: List[Any]) -> None:
    """Until somebody comes, whoever that is, however it writes; every namespace."""

    async def run() -> None:
        first: Any = await local.connect("d", {})
        second: Any = await local.connect("d", {})
        for ns in ("one", "two"):
            for round_ in range(2):
                session = Session(second, ns, Subscriber())
                await session.open(4000)
                before = len(ticks)
                while len(ticks) < before + 3:
                    await asyncio.sleep(0.001)
                session.submit("end", CLOSE)
                while ns not in first.host._resting:
                    await asyncio.sleep(0.001)
                before = len(ticks)
                await asyncio.sleep(0.05)
                assert len(ticks) == before, round_
        await second.close()
        await first.close()

    asyncio.run(asyncio.wait_for(run(), 20))
