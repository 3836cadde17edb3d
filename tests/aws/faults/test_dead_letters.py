"""What a dead letter's sender is told may not say more than is known: what failed may have come after the commit."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from kazoo.exceptions import EXCEPTIONS, ConnectionLoss

import fk_kazoo.exceptions  # noqa: F401 (the table has ours too)
from fk_backend import layout
from fk_backend.core.model import Error
from fk_backend.messages import Message, decode
from fk_backend.providers.aws.handlers import Functions

from ..conftest import DEPLOYMENT, Account
from .scenes import create
from .stage import Run, Scene, Stage, record, told
from .wire import Process, Send, Sent, carried_by, failed_before

RECEIVES = 20
"""Of the writes queue's redrive policy."""


class Mute(Process):
    """Pushes nothing: no inbox can be reached."""

    async def carry(self, sent: Sent, send: Send) -> Any:
        """As `Process.carry`, but for that."""
        if sent.operation == "SendMessage":
            return await failed_before(sent, send)
        return await super().carry(sent, send)


def test_a_dead_letter_may_have_been_committed(
    aws_account: Account, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fan-out fails until the message is a dead letter; its node is there."""
    monkeypatch.setenv("FK_DEPLOYMENT", DEPLOYMENT)
    scene = Scene(lambda s: [Message(s.inboxes["one"], s.ids["one"], 1, (create("/a"),))], roles=("one",), warm=True)

    async def check() -> None:
        stage = await Stage.open()
        try:
            run = Run(stage, scene, await stage.service())
            await run.prepare()
            for receives in range(1, RECEIVES + 1):
                assert len(await run.deliver(Mute(), receives=receives)) == 1
            node = await run.service.store.get([layout.node_keys(run.ns, "/a")[0]])
            assert node[0] is not None, "committed"
            process = Process()
            with carried_by(process):
                letter = record(run.ns, decode(base64.b64decode(run.records[0]["body"])))
                assert await Functions(run.service).dead_letter([letter]) == []
            answer = told(process.pushed, run.inboxes["one"]).answers[1]
            assert answer[0] == Error.DEAD_LETTERED and issubclass(EXCEPTIONS[answer[0]], ConnectionLoss)
        finally:
            await stage.clients.close()

    asyncio.run(check())
