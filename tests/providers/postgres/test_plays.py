"""Link, writers and gateway on a pretended server, by seeds; and mistakes in them, which have to be caught."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Iterator, NamedTuple
from unittest import mock

import pytest

pytest.importorskip("asyncpg", reason="no asyncpg (pip install 'fk_kazoo[postgres]')")

from fk_backend.messages import Position
from fk_backend.providers.postgres.direct import DirectWrites
from fk_backend.providers.postgres.gateway import PostgresGateway
from fk_backend.providers.postgres.link import Link
from fk_backend.providers.postgres.writer import ElectedWriter
from fk_backend.testing.simulation.loop import Stuck

from .plays import CROWDED, FELL, HANDED, LOST, WORLDS, play

SEEDS, MORE, HUNTED = 15, 150, 300


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("world", WORLDS)
def test_what_is_promised_holds(world: str) -> None:
    for seed in range(SEEDS):
        play(world, seed)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("world", WORLDS)
def test_what_is_promised_holds_more_often(world: str) -> None:
    for seed in range(SEEDS, MORE):
        play(world, seed)


class Mistake(NamedTuple):
    """Something in place of what is right; in which world it shows."""

    world: str
    place: Any
    name: str
    wrong: Any


def _adopts_what_the_server_says(self: Any, epoch: int) -> None:
    self._standing = epoch
    if epoch > self._epoch:
        self._epoch = epoch
        self._round += 1
        self._outgoing = deque(each for listening in self._inboxes.values() for each in listening.unanswered)
        if self._outgoing and self._host is None:
            self._start("send", self._send)


async def _listens_whatever_took_over(self: Any, inbox: str, receive: Any, lost: Any) -> None:
    await self.link.listen(inbox, receive, lost)


def _says_nothing(self: Any, why: str) -> None:
    self._outgoing.clear()


MISTAKES = {
    "sent again before all is heard": Mistake(HANDED, Link, "_adopt", _adopts_what_the_server_says),
    "messages without numbers": Mistake(HANDED, ElectedWriter, "_position", lambda self: Position()),
    "a lost connection is no loss": Mistake(LOST, Link, "_notify_lost", _says_nothing),
    "who writes directly goes on with it": Mistake(CROWDED, DirectWrites, "contended", lambda self, ns: None),
    "another timeline is the same": Mistake(FELL, PostgresGateway, "listen", _listens_whatever_took_over),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))
def test_mistakes_are_caught(mistake: Mistake) -> None:
    with mock.patch.object(mistake.place, mistake.name, mistake.wrong):
        for seed in range(HUNTED):
            try:
                play(mistake.world, seed)
            except (AssertionError, Stuck, asyncio.TimeoutError):
                return
    raise AssertionError("not caught by %d seeds" % HUNTED)
