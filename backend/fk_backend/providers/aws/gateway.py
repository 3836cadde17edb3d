"""The client's end on AWS: writes go to the queue, reads to the tables, and what comes back is polled from an inbox.

Nothing is asked for while nothing happens, apart from the long poll of the inbox.
"""

from __future__ import annotations

import asyncio
import os
from typing import Callable, Dict, Mapping, Optional

from ...errors import NotADeployment
from ...layout import check_format
from ...mac import inbox_name, shared_name
from ...ports import STATE, Direct
from ..clock import AwakeClock
from . import names
from .blobs import S3Blobs
from .clients import AT_FUNCTIONS, Clients
from .direct import Invocations, wanted
from .failures import at_connect
from .poll import Poll
from .queues import Queues
from .store import DynamoStore


class AwsGateway:
    """`ports.Gateway` of one process for one deployment."""

    address: Optional[str] = None

    def __init__(self, clients: Clients, deployment: str, queues: Queues, invokes: bool = False) -> None:
        """``invokes``: writes may be invocations of the writer."""
        self.store = DynamoStore(clients, deployment)
        self.queue = queues
        self.blobs = S3Blobs(clients, names.bucket(deployment, queues.account, clients.region))
        self.clock = AwakeClock()
        self.direct: Optional[Direct] = Invocations(clients, deployment, self.clock) if invokes else None
        self._clients = clients
        self._polls: Dict[str, Poll] = {}
        """By the name of the queue."""
        self._last: Dict[bytes, Poll] = {}
        """By the key of the session."""
        self._closed = False
        self._closing_tasks = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @classmethod
    async def open(cls, deployment: str, options: Mapping[str, str]) -> "AwsGateway":
        """Opens the deployment. DeploymentError if it is not there, of a newer format, or not for these credentials."""
        clients = Clients(options.get("region"), options.get("endpoint_url"))
        try:
            await clients.open()
            await _check_format(clients, deployment)
            endpoint = options.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL", "")
            invokes = wanted(options, endpoint, os.environ.get(AT_FUNCTIONS, ""))
            return cls(clients, deployment, await Queues.find(clients, deployment), invokes)
        except Exception as error:
            await clients.close()
            raise at_connect(error, deployment) from error

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`: at the queue of this client's last connection to that session, if that is there."""
        poll = self._last.get(key)
        if poll is not None and poll.is_gone:
            self._forget(poll)
            poll = None
        if poll is None or poll.is_serving:  # another client of this process may have the session
            poll = self._last[key] = Poll(self.queue, inbox_name(ns, key, nonce), key)
            self._polls[poll.name] = poll
        return poll.next_inbox()

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`: makes the queue, unless it is there, and polls it."""
        poll = self._polls.setdefault(shared_name(inbox), Poll(self.queue, inbox))
        try:
            await poll.serve(inbox, receive, lost)
        except BaseException:
            self._forget(poll)
            raise

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        poll = self._polls.get(shared_name(inbox))
        if self._closed or poll is None or not poll.leave(inbox) or (keep and poll.has_queue):
            return
        self._forget(poll)
        if not poll.has_queue:
            return
        self._closing_tasks += 1
        self._quiet.clear()
        try:
            await poll.stop()
            await self.queue.drop(inbox)
        finally:
            self._closing_tasks -= 1
            if not self._closing_tasks:
                self._quiet.set()

    def _forget(self, poll: Poll) -> None:
        self._polls.pop(poll.name, None)
        if self._last.get(poll.key) is poll:
            del self._last[poll.key]

    async def check(self) -> None:
        """`ports.Gateway.check`: only sending tells."""

    async def close(self) -> None:
        """`ports.Gateway.close`."""
        for poll in list(self._polls.values()):
            poll.lose("the deployment was closed")
        await self._quiet.wait()
        self._closed = True
        for poll in list(self._polls.values()):
            await poll.stop()
        self._polls.clear()
        await self._clients.close()


async def _check_format(clients: Clients, deployment: str) -> None:
    """The first request, which the client's own connection loop tries again: what is wrong shows at once."""
    partition, sort = names.FORMAT_KEY
    answer = await clients.once.get_item(
        TableName=names.table(deployment, STATE),
        Key={names.PARTITION: {"S": partition}, names.SORT: {"S": sort}},
        ConsistentRead=True,
    )
    if "Item" not in answer:
        raise NotADeployment("aws://%s was never set up to the end; run fk-kazoo deploy again" % deployment)
    check_format("aws://" + deployment, int(answer["Item"][names.REV]["N"]))
