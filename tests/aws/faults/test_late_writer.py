"""Two writers with the same batch: at the same time, or one that goes on when the other one has long been done.

Nothing is applied twice, nothing is lost, and nobody is told two different things.
"""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable

import pytest

from ..conftest import Account
from .scenes import SCENES, Play, sized
from .stage import Stage, same
from .wire import Send, Sent, Unlucky, answer_lost, refused, served

MEETINGS = 3
"""How often two writers are let loose: who is first is chance."""
SOME = ("set, warm", "multi", "several, in commits of one", "close", "attach", "expire", "large")
OF_INBOXES = ("SendMessage", "DeleteQueue")


def _play(name: str, check: Callable[[Play], Awaitable[None]]) -> None:
    async def run() -> None:
        stage = await Stage.open()
        try:
            await check(Play(stage, SCENES[name]))
        finally:
            await stage.clients.close()

    with sized(name):
        asyncio.run(run())


@pytest.mark.parametrize("name", SOME)
def test_a_writer_that_is_late_changes_nothing(aws_account: Account, name: str) -> None:
    """It stops before any of its requests, and goes on after another one did all the work."""

    async def check(play: Play) -> None:
        expected, process = await play.undisturbed()
        for at, sent in enumerate(process.sent, 1):
            same(await play.late(at), expected, "late at request %d, %s" % (at, sent.operation))

    _play(name, check)


@pytest.mark.parametrize("name", SOME)
def test_two_writers_at_the_same_time(aws_account: Account, name: str) -> None:
    async def check(play: Play) -> None:
        expected, _ = await play.undisturbed()
        for _ in range(MEETINGS):
            same(await play.together(), expected, "together")

    _play(name, check)


@pytest.mark.parametrize("name", ("set, warm", "several, in commits of one", "attach", "large"))
def test_any_request_can_fail(aws_account: Account, name: str, at_once: None) -> None:
    """With its effect and without: what can't be tried again by itself has the batch come again.

    But an inbox that refuses a push, or to go: that is its client's loss, see `test_untrusted`.
    """

    async def denied(sent: Sent, send: Send) -> Any:
        return await (served if sent.operation in OF_INBOXES else refused("AccessDeniedException"))(sent, send)

    async def check(play: Play) -> None:
        expected, process = await play.undisturbed()
        for at, sent in enumerate(process.sent, 1):
            for fate in (answer_lost,) if sent.operation in OF_INBOXES else (answer_lost, denied):
                where = "%s at request %d, %s" % (fate.__name__, at, sent.operation)
                same(await play.disturbed(Unlucky(at, fate)), expected, where)

    _play(name, check)
