"""The writer killed before and after every HTTP request that it makes, and its batch delivered again.

What is in the tables, in the bucket and in the inboxes must be what an undisturbed run leaves. The requests are found
by counting those of an undisturbed run.
"""

from __future__ import annotations

import asyncio

import pytest

from ..conftest import Account
from .scenes import SCENES, Play, sized
from .stage import Scene, Stage, same
from .wire import READS


async def _check(scene: Scene) -> None:
    stage = await Stage.open()
    try:
        play = Play(stage, scene)
        expected, process = await play.undisturbed()
        assert expected.unnamed == 0 and len(process.sent) >= 2
        for at, sent in enumerate(process.sent, 1):
            for after in (False,) if sent.operation in READS else (False, True):
                where = "killed %s request %d, %s" % ("after" if after else "before", at, sent.operation)
                same(await play.killed(at, after), expected, where)
    finally:
        await stage.clients.close()


@pytest.mark.parametrize("name", SCENES)
def test_killed_before_and_after_every_request(aws_account: Account, name: str) -> None:
    with sized(name):
        asyncio.run(_check(SCENES[name]))
