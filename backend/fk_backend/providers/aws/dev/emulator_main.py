"""What runs in ministack's own interpreter: ministack, with some changes. Run by path; imports nothing of ours.

Rule upheld here: answers are ministack's. Changed is when they come, who gets them, and when the process ends.

1. A long poll of SQS ends when something happens to a queue. ministack itself looks every 100 ms, which would be most
   of what a write takes here; on AWS a long poll ends within milliseconds.
2. Where permissions are enforced: what SQS does in batches needs the permission for a single one, as on AWS, where IAM
   has no others; and this machine's own loopback counts as TLS.
3. What AWS documents and ministack does not do, where a variable asks for it (`LATE_QUEUES`):
   SQS API Reference, CreateQueue, "you must wait at least one second after the queue is created to be able to use the
   queue".
4. The tracing header of a SendMessage is kept with the message, as on AWS (SQS Developer Guide, "Amazon SQS and AWS
   X-Ray"): by it Lambda knows chains of requests.
5. Its standard input is a pipe that only its starter holds. At its end the starter is gone, and so is ministack.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
import runpy
import sys
import threading
import time
import types
from typing import Any, Dict, Set

LATE_QUEUES = "FK_EMULATED_QUEUES_COME_AFTER_S"
"""Seconds from the creation of a queue until it is there."""


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


def _queues_come_late(after_s: float) -> None:
    from ministack.services import sqs

    made: Dict[str, float] = {}
    dispatch = sqs._dispatch

    async def _dispatch(action: str, data: Any, url: str) -> Any:
        used = str(data.get("QueueUrl") or url)
        if action != "CreateQueue" and time.monotonic() - made.get(used, -math.inf) < after_s:
            raise sqs._Err("QueueDoesNotExist", "The specified queue does not exist for this wsdl version.")
        result = await dispatch(action, data, url)
        if action == "CreateQueue":
            made.setdefault(result["QueueUrl"], time.monotonic())
        elif action == "DeleteQueue":
            made.pop(used, None)
        return result

    sqs._dispatch = _dispatch


def _batches_need_no_more() -> None:
    from ministack.core import iam_actions

    extract = iam_actions.extract_iam_action

    def extract_iam_action(service: str, *arguments: Any, **more: Any) -> Any:
        action = extract(service, *arguments, **more)
        if isinstance(action, str) and action.startswith("sqs:") and action.endswith("Batch"):
            return action[: -len("Batch")]
        return action

    iam_actions.extract_iam_action = extract_iam_action


def _traces_go_along() -> None:
    from ministack.services import sqs

    handle, build = sqs.handle_request, sqs._build_send_sys_attrs
    header: "contextvars.ContextVar[str]" = contextvars.ContextVar("header", default="")

    async def handle_request(method: str, path: str, headers: Any, *more: Any) -> Any:
        header.set(headers.get("x-amzn-trace-id", ""))
        return await handle(method, path, headers, *more)

    def build_send_sys_attrs(now: float, given: Any) -> Any:
        traced = {"AWSTraceHeader": header.get()} if header.get() else {}
        return {**traced, **build(now, given)}

    sqs.handle_request, sqs._build_send_sys_attrs = handle_request, build_send_sys_attrs


def _loopback_is_safe() -> None:
    from ministack.core import iam_evaluator

    resolve = iam_evaluator._resolve_condition_key

    def _resolve_condition_key(key: str, context: Any) -> Any:
        return "true" if key.lower() == "aws:securetransport" else resolve(key, context)

    iam_evaluator._resolve_condition_key = _resolve_condition_key


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    _wake_long_polls()
    if LATE_QUEUES in os.environ:
        _queues_come_late(float(os.environ[LATE_QUEUES]))
    _traces_go_along()
    _batches_need_no_more()
    _loopback_is_safe()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
