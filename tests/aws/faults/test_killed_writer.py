"""The writer killed before and after every HTTP request that it makes, and its batch delivered again.

What is in the tables, in the bucket and in the inboxes must be what an undisturbed run leaves. Request after request,
until a run ends before the one at which it should have been killed: how many there are may differ from run to run,
where the emulator has some of them tried again (`dev/documented.py`).
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

from ..conftest import Account
from .scenes import SCENES, Play, sized
from .stage import Scene, Stage, same
from .wire import READS


async def _check(scene: Scene) -> None:
    stage = await Stage.open()
    try:
        play = Play(stage, scene)
        expected, _ = await play.undisturbed()
        assert expected.unnamed == 0
        for at in itertools.count(1):
            ending, sent = await play.killed(at, after=False)
            same(ending, expected, "killed before request %d, %s" % (at, sent))
            if sent is None:
                break
            if sent.operation not in READS:
                same((await play.killed(at, after=True))[0], expected, "killed after request %d, %s" % (at, sent))
        assert at > 2
    finally:
        await stage.clients.close()


@pytest.mark.parametrize("name", SCENES)
def test_killed_before_and_after_every_request(aws_account: Account, name: str) -> None:
    with sized(name):
        asyncio.run(_check(SCENES[name]))
