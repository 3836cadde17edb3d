"""Every request is seen twice: when it is about to be sent, tries included, and when it is answered, with its units.

Works on whatever opens `fk_backend.providers.aws.clients.Clients` in this process: clients, and the functions of a host
that runs them in threads.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple

from fk_backend.providers.aws.clients import Clients

from .units import Tables, Units, chunks

CLIENT, FUNCTION = "client", "function"
S3_UNITS = {
    "PutObject": Units(s3_put=1),
    "CopyObject": Units(s3_put=1),
    "GetObject": Units(s3_get=1),
    "HeadObject": Units(s3_get=1),
    "DeleteObjects": Units(),
}
"""As Amazon S3's price list has it: a copy is a put, deletes are free."""


class Call(NamedTuple):
    """A request that was answered. ``queue``: which one it was for, without the deployment's name. Times in seconds."""

    side: str
    operation: str
    queue: str
    units: Units
    size: int
    began: float
    ended: float

    @property
    def kind(self) -> str:
        """Its operation, and the queue it was for."""
        return "%s %s" % (self.operation, self.queue) if self.queue else self.operation

    @property
    def empty_poll(self) -> bool:
        """A receive that brought nothing."""
        return self.operation == "ReceiveMessage" and self.size == 0


class Meter:
    """Sees requests from when it is made, in :func:`metered`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.tables = Tables()
        """What is in them."""
        self.calls: List[Call] = []
        self.sent: "Counter[str]" = Counter()
        """What went out over HTTP, by operation."""
        self.under_way = 0
        """Requests without an answer yet, but for polls."""

    def clear(self) -> None:
        """Begins anew; what is in the tables is remembered."""
        with self._lock:
            self.calls.clear()
            self.sent.clear()

    def watch(self, client: Any, side: str) -> None:
        """Sees the requests of a client of botocore."""
        service = client.meta.service_model.service_name
        events = client.meta.events
        events.register("before-send.%s.*" % service, self._sending)
        events.register("before-call.%s.*" % service, self._asked)
        events.register("after-call.%s.*" % service, lambda **known: self._answered(service, side, **known))

    def _sending(self, request: Any, event_name: str, **_: Any) -> None:
        with self._lock:
            self.sent[event_name.rpartition(".")[2]] += 1

    def _asked(self, model: Any, params: Dict[str, Any], context: Dict[str, Any], **_: Any) -> None:
        context["metered"] = (params.get("body"), time.monotonic())
        with self._lock:
            self.under_way += model.name != "ReceiveMessage"

    def _answered(
        self, service: str, side: str, http_response: Any, parsed: Any, model: Any, context: Any, **_: Any
    ) -> None:
        body, began = context["metered"]
        refused = http_response.status_code >= 300
        with self._lock:
            self.under_way -= model.name != "ReceiveMessage"
            size, queue = len(body) if isinstance(body, bytes) else 0, ""
            if service == "dynamodb":
                units = self.tables.units(model.name, json.loads(body), parsed, refused)
            elif service == "sqs":
                asked = json.loads(body)
                queue = _queue_of(asked)
                size = _payload(model.name, asked, parsed)
                units = Units(**{"fifo" if queue.endswith(".fifo") else "standard": chunks(size)})
            else:
                units = S3_UNITS[model.name]
            self.calls.append(Call(side, model.name, queue, units, size, began, time.monotonic()))


def _queue_of(asked: Dict[str, Any]) -> str:
    name = str(asked.get("QueueUrl") or asked.get("QueueName") or "").rpartition("/")[2]
    which = name.split("-", 2)[-1]
    return "inbox" if which.startswith("inbox-") else which


def _payload(operation: str, asked: Dict[str, Any], answer: Dict[str, Any]) -> int:
    if operation == "SendMessage":
        return len(asked["MessageBody"].encode())
    if operation == "ReceiveMessage":
        return sum(len(message["Body"].encode()) for message in answer.get("Messages", ()))
    return 0


@contextmanager
def metered() -> Iterator[Meter]:
    """Every `Clients` that is opened in here is seen. Those of functions are known by asking the environment alone."""
    meter, opened = Meter(), Clients.open

    async def open_metered(self: Clients) -> Clients:
        await opened(self)
        side = FUNCTION if self._options["endpoint_url"] is None else CLIENT
        for client in (self.dynamodb, self.once, self.sqs, self.s3):
            meter.watch(client, side)
        return self

    Clients.open = open_metered  # type: ignore[method-assign]
    try:
        yield meter
    finally:
        Clients.open = opened  # type: ignore[method-assign]
