"""What runs in ministack's own interpreter: ministack, with two changes. Run by path; imports nothing of ours.

Rule upheld here: answers are ministack's. Changed is when they come, and when the process ends.

1. A long poll of SQS ends when something happens to a queue. ministack itself looks every 100 ms, which would be most
   of what a write takes here; on AWS a long poll ends within milliseconds.
2. Its standard input is a pipe that only its starter holds. At its end the starter is gone, and so is ministack.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
import threading
import types
from typing import Any, Set


def _end_with_starter() -> None:
    os.read(0, 1)
    os._exit(0)


def _wake_long_polls() -> None:
    from ministack.services import sqs

    waiting: Set["asyncio.Future[None]"] = set()
    dispatch = sqs._dispatch

    async def sleep(seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        waiting.add(woken)
        try:
            await asyncio.wait([woken], timeout=seconds)
        finally:
            waiting.discard(woken)

    async def _dispatch(action: str, *arguments: Any) -> Any:
        result = await dispatch(action, *arguments)
        if action != "ReceiveMessage":
            for one in waiting:
                if not one.done():
                    one.set_result(None)
        return result

    for name in ("iscoroutine", "sleep"):
        assert hasattr(sqs.asyncio, name)
    sqs.asyncio = types.SimpleNamespace(iscoroutine=asyncio.iscoroutine, sleep=sleep)
    sqs._dispatch = _dispatch


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    _wake_long_polls()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
