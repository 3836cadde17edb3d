"""The connections of one process to AWS: what may be asked twice is retried by the library, what may not is asked once.

A lost answer and a retry would make one ADD two, and one conditional write a conflict with itself.
"""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any, Dict, Mapping, Optional

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from ...errors import BackendError

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
FUNCTION_TIMEOUTS_S = (2.0, 6.0)
"""To connect, and to read, in a function: three tries of a request that hangs fit into the 20 s that it has."""
LONG_POLL_S = 20
TRIES = 4
SAME_MESSAGE_S = 240.0
"""So long after a message was sent first it may be sent again: SQS knows it for 300 s."""

now_s = time.time
"""Seconds; goes on while the machine is asleep."""
sent_first_s: "ContextVar[Optional[float]]" = ContextVar("sent_first_s", default=None)
"""When the message was sent first that is being sent to a FIFO queue."""


class Clients:
    """Open it in the event loop that uses it. ``dynamodb`` and ``sqs`` retry; ``once`` is DynamoDB without retries."""

    dynamodb: Any
    once: Any
    sqs: Any
    s3: Any

    def __init__(
        self, region: Optional[str] = None, endpoint_url: Optional[str] = None, of_function: bool = False
    ) -> None:
        """None: what the environment says (AWS_REGION, AWS_ENDPOINT_URL, ...)."""
        self._of_function = of_function
        region = region or os.environ.get("AWS_REGION")  # which the library does not look at
        self._options: Dict[str, Any] = {"region_name": region, "endpoint_url": endpoint_url}
        self._stack = AsyncExitStack()
        self.session = get_session()

    def with_credentials(self, key: str, secret: str) -> "Clients":
        """The same place for somebody else; not open yet."""
        other = Clients(self._options["region_name"], self._options["endpoint_url"])
        other._options.update(aws_access_key_id=key, aws_secret_access_key=secret)
        return other

    @property
    def region(self) -> str:
        """Where this is."""
        return str(self.dynamodb.meta.region_name)

    async def open(self) -> "Clients":
        """Opens what is needed; nothing is sent yet."""
        connect_s, read_s = FUNCTION_TIMEOUTS_S if self._of_function else (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        common: Dict[str, Any] = {"connect_timeout": connect_s, "max_pool_connections": 64}
        patient = AioConfig(read_timeout=read_s, retries=_retries(TRIES), **common)
        once = AioConfig(read_timeout=read_s, retries=_retries(1), **common)
        polled_s = 0 if self._of_function else LONG_POLL_S
        waiting = AioConfig(read_timeout=polled_s + read_s, retries=_retries(TRIES), **common)
        for name, service, config in (
            ("dynamodb", "dynamodb", patient),
            ("once", "dynamodb", once),
            ("sqs", "sqs", waiting),
            ("s3", "s3", patient),
        ):
            client = self.session.create_client(service, config=config, **self._options)
            setattr(self, name, await self._stack.enter_async_context(client))
        self.sqs.meta.events.register("before-send.sqs.SendMessage", _not_too_late)
        return self

    async def close(self) -> None:
        """Gives everything back."""
        await self._stack.aclose()


def _not_too_late(**_: Any) -> None:
    """Before every try, the library's own included: they may be far apart where a machine was asleep in between."""
    first = sent_first_s.get()
    if first is not None and now_s() - first > SAME_MESSAGE_S:
        raise BackendError("the message may have been taken %d s ago; SQS would take it again" % (now_s() - first))


def _retries(attempts: int) -> Mapping[str, Any]:
    return {"total_max_attempts": attempts, "mode": "standard"}
