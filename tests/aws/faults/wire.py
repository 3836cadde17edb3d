"""What goes over the wire, in the hands of a test: any HTTP request of a process can be lost, refused, or its last one.

Rule upheld here: a request that took effect did so in the emulator. Only answers are ever made up, and a process that
was killed sends nothing more.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
from contextvars import ContextVar
from typing import Any, Awaitable, Callable, Dict, Iterator, List, NamedTuple, Optional

from aiobotocore.awsrequest import AioAWSResponse
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from fk_backend.ports import Pushed
from fk_backend.providers.aws.clients import Clients


class Crash(BaseException):
    """The process is gone: nothing catches it."""


class Sent(NamedTuple):
    """One HTTP request, each try counted by itself."""

    operation: str
    url: str
    body: bytes


READS = ("GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan", "GetObject", "GetQueueUrl")
"""Requests without effect: to be killed after one is to be killed before the next."""

Send = Callable[[], Awaitable[Any]]
Carrier = Callable[[Sent, Send], Awaitable[Any]]
"""What carries a request: returns the answer that the process gets."""

_carrier: "ContextVar[Optional[Carrier]]" = ContextVar("carrier", default=None)


@contextlib.contextmanager
def carried_by(carrier: Optional[Carrier]) -> Iterator[None]:
    """Everything that is sent inside, and by the tasks that are made inside, goes through the carrier."""
    token = _carrier.set(carrier)
    try:
        yield
    finally:
        _carrier.reset(token)


def tap(clients: Clients, everything: Optional[Carrier] = None) -> None:
    """Puts the connections of a process under the carrier of whoever uses them, or under one for good."""
    for client in (clients.dynamodb, clients.once, clients.sqs, clients.s3):
        hook = functools.partial(_carry, client._endpoint.http_session, everything)
        client.meta.events.register("before-send.*.*", hook)


async def _carry(session: Any, everything: Optional[Carrier], request: Any, event_name: str, **_: Any) -> Any:
    carrier = everything or _carrier.get()
    if carrier is None:
        return None
    body = request.body if isinstance(request.body, bytes) else b""
    sent = Sent(event_name.rpartition(".")[2], request.url, body)
    return await carrier(sent, functools.partial(session.send, request))


# --- carriers -------------------------------------------------------------------------------------


class Process:
    """Carries what one process sends, until the process is killed at the ``at``-th request: before it, or after."""

    def __init__(self, at: Optional[int] = None, after: bool = False) -> None:
        self.sent: List[Sent] = []
        self.queued: List[Dict[str, Any]] = []
        """Messages that a queue took, as they were sent."""
        self.dead = False
        self._at = at
        self._after = after

    async def __call__(self, sent: Sent, send: Send) -> Any:
        """`Carrier`."""
        if self.dead:
            raise Crash
        self.sent.append(sent)
        fatal = len(self.sent) == self._at
        if fatal and not self._after:
            self.dead = True
            raise Crash
        response = await self.carry(sent, send)
        if fatal:
            self.dead = True
            raise Crash
        return response

    async def carry(self, sent: Sent, send: Send) -> Any:
        """One request to the emulator and back."""
        response = await send()
        if sent.operation == "SendMessage" and response.status_code == 200:
            self.queued.append(json.loads(sent.body))
        return response

    @property
    def pushed(self) -> List[Pushed]:
        """What inboxes took."""
        found = []
        for message in self.queued:
            _, is_inbox, inbox = message["QueueUrl"].rpartition("-inbox-")
            if is_inbox:
                found.append(Pushed(inbox, base64.b64decode(message["MessageBody"])))
        return found


class Sleeper(Process):
    """Stops just before the ``at``-th request, and goes on when it is told to."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.wake = asyncio.Event()
        self._sleeps_at = at

    async def carry(self, sent: Sent, send: Send) -> Any:
        """As `Process.carry`, but for that."""
        if len(self.sent) == self._sleeps_at:
            self.reached.set()
            await self.wake.wait()
        return await super().carry(sent, send)


class Unlucky(Process):
    """Meets with a misfortune at the ``at``-th request: every try of it fails as ``fate`` says."""

    def __init__(self, at: int, fate: "Fate") -> None:
        super().__init__()
        self._unlucky_at = at
        self._fate = fate
        self._body: Optional[Sent] = None

    async def carry(self, sent: Sent, send: Send) -> Any:
        """As `Process.carry`, but for that."""
        if len(self.sent) == self._unlucky_at:
            self._body = sent
        if sent == self._body:
            return await self._fate(sent, lambda: super(Unlucky, self).carry(sent, send))
        return await super().carry(sent, send)


# --- answers that are made up ---------------------------------------------------------------------


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        return self._body


def answer(status: int, body: bytes, content_type: str = "application/x-amz-json-1.0") -> Any:
    """An HTTP response that nobody sent."""
    headers = {"content-type": content_type, "content-length": str(len(body))}
    return AioAWSResponse("http://made-up/", status, headers, _Raw(body))


def refusal(code: str, status: int = 400, **more: Any) -> Any:
    """An error of DynamoDB or SQS."""
    return answer(status, json.dumps({"__type": "com.amazonaws#" + code, "message": code, **more}).encode())


def lost(sent: Sent) -> Exception:
    """What a process sees of an answer that never came."""
    return ReadTimeoutError(endpoint_url=sent.url)


Fate = Callable[[Sent, Send], Awaitable[Any]]
"""What becomes of one try of a request."""


async def served(sent: Sent, send: Send) -> Any:
    """As it should be."""
    return await send()


async def answer_lost(sent: Sent, send: Send) -> Any:
    """It took effect, and nobody hears of it."""
    await send()
    raise lost(sent)


async def failed_after(sent: Sent, send: Send) -> Any:
    """It took effect, and the answer is an error."""
    await send()
    return refusal("InternalServerError", 500)


async def failed_before(sent: Sent, send: Send) -> Any:
    """It had no effect, and the error leaves that open."""
    return refusal("InternalServerError", 500)


async def unreachable(sent: Sent, send: Send) -> Any:
    """No connection."""
    raise EndpointConnectionError(endpoint_url=sent.url)


def refused(code: str, **more: Any) -> Fate:
    """No effect, and an answer that says why."""

    async def fate(sent: Sent, send: Send) -> Any:
        return refusal(code, **more)

    return fate


def cancelled(*reasons: str) -> Fate:
    """A transaction that did not happen."""
    return refused("TransactionCanceledException", CancellationReasons=[{"Code": reason} for reason in reasons])
