"""What runs in ministack's own interpreter: ministack, with some changes. Run by path.

Rule upheld here: answers are ministack's. Changed is when they come, who gets them, and when the process ends.

1. A long poll of SQS ends when something happens to a queue. ministack itself looks every 100 ms, which would be most
   of what a write takes here; on AWS a long poll ends within milliseconds.
2. Where permissions are enforced: what SQS does in batches needs the permission for a single one, as on AWS, where IAM
   has no others; and this machine's own loopback counts as TLS.
3. What AWS documents and ministack does not do, as far as `documented` says that it is wanted.
4. The tracing header of a SendMessage is kept with the message, as on AWS (SQS Developer Guide, "Amazon SQS and AWS
   X-Ray"): by it Lambda knows chains of requests.
5. What was received too often is never received once more: ministack asks the clock twice, and gives out what becomes
   visible in between.
6. Its standard input is a pipe that only its starter holds. At its end the starter is gone, and so is ministack.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib.util
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


def _as_documented() -> None:
    """Our own files, by their paths: the rules, and what they put before ministack."""
    from hypercorn import config as hypercorn
    from ministack.core.responses import get_account_id
    from ministack.services import dynamodb, sqs

    documented, queues, tables = map(_beside, ("documented", "documented_sqs", "documented_dynamodb"))
    on = documented.rules()
    sqs._dispatch = queues.Queues(
        sqs,
        on.get(documented.LATE_QUEUES),
        on.get(documented.LAGGING_COUNTERS),
        on.get(documented.DEDUPLICATION),
        documented.SEQUENCE in on,
        on.get(documented.PARTIAL_SQS),
    )
    if documented.MIXED not in on:
        queues.one_group_in_a_batch(sqs)
    if on.keys() & {documented.THROTTLING, documented.ROW_BY_ROW, documented.CONFLICT, documented.PARTIAL_DB}:
        dynamodb.handle_request = tables.Tables(
            dynamodb,
            get_account_id,
            on.get(documented.THROTTLING),
            documented.ROW_BY_ROW in on,
            on.get(documented.CONFLICT),
            on.get(documented.PARTIAL_DB),
        )
    if documented.IDLE in on:
        kept = property(lambda config: on[documented.IDLE], lambda config, value: None)
        hypercorn.Config.keep_alive_timeout = kept


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(__file__), name + ".py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


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


def _one_moment_for_a_receive() -> None:
    from ministack.services import sqs

    sweep, collect, clock = sqs._dlq_sweep, sqs._collect_msgs, sqs.time

    def _collect_msgs(queue: Any, *arguments: Any) -> Any:
        now = clock.time()
        sqs.time = types.SimpleNamespace(time=lambda: now)
        try:
            sweep(queue)
            return collect(queue, *arguments)
        finally:
            sqs.time = clock

    sqs._collect_msgs = _collect_msgs


def _loopback_is_safe() -> None:
    from ministack.core import iam_evaluator

    resolve = iam_evaluator._resolve_condition_key

    def _resolve_condition_key(key: str, context: Any) -> Any:
        return "true" if key.lower() == "aws:securetransport" else resolve(key, context)

    iam_evaluator._resolve_condition_key = _resolve_condition_key


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, daemon=True).start()
    _wake_long_polls()
    _as_documented()
    _traces_go_along()
    _batches_need_no_more()
    _one_moment_for_a_receive()
    _loopback_is_safe()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
