"""The connections of one process to AWS: what may be asked twice is retried by the library, what may not is asked once.

A lost answer and a retry would make one ADD two, and one conditional write a conflict with itself.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any, Dict, List, Mapping, Optional

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import get_session
from botocore.exceptions import ParamValidationError

from ...errors import BackendError
from .failures import cut_off

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
FUNCTION_TIMEOUTS_S = (2.0, 6.0)
"""To connect, and to read, in a function: three tries of a request that hangs fit into the 20 s that it has."""
LONG_POLL_S = 20
INVOKE_TIMEOUT_S = 22.0
"""For an invocation: longer than the function may take, so that its client hears what became of it, if anybody can."""
TRIES = 4
KEPT_S = 300.0
"""So long a connection is kept that nobody uses."""
PROBED_S, PROBES = 30, 3
"""A connection that says nothing is probed after so long, and given up after so many probes without an answer."""
SAME_MESSAGE_S = 240.0
"""So long after a message was sent first it may be sent again: SQS knows it for 300 s."""
AT_FUNCTIONS = "AWS_ENDPOINT_URL_LAMBDA"
"""The variable with Lambda's endpoint, where it is another one than everything else's."""

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
        self._functions: Any = None
        self._common: Dict[str, Any] = {}
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
        common: Dict[str, Any] = {"connect_timeout": connect_s, "max_pool_connections": 64, **_kept()}
        self._common = {**common, "read_timeout": read_s}
        patient = AioConfig(read_timeout=read_s, retries=_retries(TRIES), **common)
        once = AioConfig(read_timeout=read_s, retries=_retries(1), **common)
        waiting = patient
        if not self._of_function:  # who polls waits for longer, and so has connections of its own
            waiting = AioConfig(read_timeout=LONG_POLL_S + read_s, retries=_retries(TRIES), **{**common, **_kept()})
        for name, service, config in (
            ("dynamodb", "dynamodb", patient),
            ("once", "dynamodb", once),
            ("sqs", "sqs", waiting),
            ("s3", "s3", patient),
        ):
            client = self.session.create_client(service, config=config, **self._options)
            setattr(self, name, await self._stack.enter_async_context(client))
            if config is not once:
                getattr(self, name).meta.events.register_first("needs-retry.%s" % service, _at_once)
        self.sqs.meta.events.register("before-send.sqs.SendMessage", _not_too_late)
        return self

    async def functions(self) -> Any:
        """Lambda, asked once: made when it is first needed, as its description is large."""
        if self._functions is None:
            kept = {**self._common, **_kept(), "read_timeout": INVOKE_TIMEOUT_S}  # who waits for longer, as `open` says
            config = AioConfig(retries=_retries(1), **kept)
            options = {**self._options, "endpoint_url": os.environ.get(AT_FUNCTIONS) or self._options["endpoint_url"]}
            made = self.session.create_client("lambda", config=config, **options)
            self._functions = await self._stack.enter_async_context(made)
        return self._functions

    async def close(self) -> None:
        """Gives everything back."""
        await self._stack.aclose()


def _at_once(attempts: int, caught_exception: Optional[Exception], **_: Any) -> Optional[float]:
    """The pause before a first try is repeated that met a connection which somebody had closed: none."""
    return 0.0 if attempts == 1 and caught_exception is not None and cut_off(caught_exception) else None


def _kept() -> Dict[str, Any]:
    """Options for clients that share their connections, and keep them; as far as the library's release knows them."""
    options = {
        "connector_args": {"keepalive_timeout": KEPT_S, "socket_factory": _socket},
        "http_session_cls": _pool(),
    }
    try:
        AioConfig(**options)
    except (TypeError, ParamValidationError):
        return {"connector_args": {"keepalive_timeout": KEPT_S}}
    return options


def _pool() -> Any:
    """What makes one session of HTTP, for whoever asks: all of them enter it, and whoever leaves first closes it."""
    made: List[Pool] = []

    def make(**options: Any) -> Pool:
        if not made:
            made.append(Pool(**options))
        return made[0]

    return make


class Pool(AIOHTTPSession):  # type: ignore[misc]
    """A session of HTTP that may be entered more than once."""

    async def __aenter__(self) -> "Pool":
        if self._sessions is None:
            await super().__aenter__()
        return self


def _socket(address: Any) -> socket.socket:
    """One that is probed while it is idle: so nobody in between forgets it, and who is gone is noticed."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", PROBED_S), ("TCP_KEEPINTVL", PROBED_S // PROBES), ("TCP_KEEPCNT", PROBES)):
        if hasattr(socket, name):  # pragma: no branch - not all of them on macOS
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


def _not_too_late(**_: Any) -> None:
    """Before every try, the library's own included: they may be far apart where a machine was asleep in between."""
    first = sent_first_s.get()
    if first is not None and now_s() - first > SAME_MESSAGE_S:
        raise BackendError("the message may have been taken %d s ago; SQS would take it again" % (now_s() - first))


def _retries(attempts: int) -> Mapping[str, Any]:
    return {"total_max_attempts": attempts, "mode": "standard"}
