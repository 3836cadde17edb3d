"""Who finds a host that does not serve yet waits at its door, and asks no more."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Iterator, List

import pytest

from fk_backend.errors import Unavailable
from fk_backend.providers import local
from fk_backend.providers.local import files, link
from fk_backend.providers.local.frames import Frames
from fk_backend.providers.local.host import Host, Lock

CROWD = 20
PATIENCE_S = 20.0


class Takeover:
    """A host that has taken the lock and reads what is left, for as long as a test likes."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ends = asyncio.Event()
        self.fails = False
        self.tries = self.arrived = 0


@pytest.fixture
def takeover(monkeypatch: pytest.MonkeyPatch, place: files.Place) -> Iterator[Callable[..., None]]:
    """Runs a scene while a link of this process is the host to be."""
    scenes: List[Takeover] = []
    start, acquire, made = Host.start, Lock.acquire, Frames.connection_made

    async def slow(self: Host) -> None:
        scenes[-1].begun.set()
        await scenes[-1].ends.wait()
        if scenes[-1].fails:
            raise Unavailable("it can't")
        await start(self)

    def counted(path: str) -> Any:
        scenes[-1].tries += 1
        return acquire(path)

    def arrived(self: Frames, transport: Any) -> None:
        scenes[-1].arrived += 1
        made(self, transport)

    monkeypatch.setattr(Host, "start", slow)
    monkeypatch.setattr(Lock, "acquire", counted)
    monkeypatch.setattr(Frames, "connection_made", arrived)

    def run(scene: Callable[[Takeover], Awaitable[None]]) -> None:
        async def act() -> None:
            scenes.append(Takeover())
            first: Any = await local.connect("d", {})
            await asyncio.wait_for(scenes[-1].begun.wait(), PATIENCE_S)
            try:
                await scene(scenes[-1])
            finally:
                scenes[-1].ends.set()
                await first.close()

        asyncio.run(act())

    yield run


async def _until(condition: Callable[[], object]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), PATIENCE_S)


def test_a_crowd_waits_at_the_door_and_asks_no_more(takeover: Callable[..., None]) -> None:
    """Each of them asks for the lock once, and is there: however long the new host takes, none tries again."""

    async def scene(now: Takeover) -> None:
        crowd: List[Any] = [await local.connect("d", {}) for _ in range(CROWD)]
        await _until(lambda: now.arrived == CROWD)
        checks = [asyncio.ensure_future(each.check()) for each in crowd]
        await asyncio.sleep(10 * link.RETRY_S)
        assert now.tries == 1 + CROWD
        assert not any(each.done() for each in checks), "nobody serves them yet"
        now.ends.set()
        await asyncio.gather(*checks)
        assert now.tries == 1 + CROWD
        await asyncio.gather(*(each.close() for each in crowd))

    takeover(scene)


@pytest.mark.parametrize("closes", [True, False])
def test_who_waits_is_not_kept(takeover: Callable[..., None], closes: bool) -> None:
    """Neither by a host that does not get as far as serving, nor when it wants to leave."""

    async def scene(now: Takeover) -> None:
        peer: Any = await local.connect("d", {})
        await _until(lambda: now.arrived == 1)
        if not closes:
            now.fails = True
            now.begun.clear()
            now.ends.set()
            await asyncio.wait_for(now.begun.wait(), PATIENCE_S)  # the next to try, one of the two
            now.fails = False
            await _until(lambda: peer.link._failure is None and peer.link._joined.is_set())
            await peer.check()
        await asyncio.wait_for(peer.close(), link.LOST_AFTER_S / 2)

    takeover(scene)
