"""Any number of inboxes are pushed to, and no more at the same time than are soon under way.

Without an emulator: what sends them counts.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from fk_backend.ports import Pushed
from fk_backend.providers.aws.queues import PUSHED_AT_ONCE, Queues


def test_thousands_of_pushes_are_not_begun_all_at_once() -> None:
    async def check() -> None:
        under_way = most = sent = 0

        async def send_message(**_: Any) -> None:
            nonlocal under_way, most, sent
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            sent += 1

        clients: Any = SimpleNamespace(sqs=SimpleNamespace(send_message=send_message))
        pushes = [Pushed("%032x" % number, b"x") for number in range(1234)]
        await Queues(clients, "name", "http://queues/").push(pushes)
        assert sent == 1234 and most == PUSHED_AT_ONCE

    asyncio.run(check())
