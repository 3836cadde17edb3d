"""The client's end on AWS: writes go to the queue, reads to the tables, and what comes back is polled from an inbox.

Nothing is asked for while nothing happens, apart from the long poll of the inbox.
"""

from __future__ import annotations

import asyncio
from typing import Callable, Dict, Mapping, Optional

from ...errors import NotADeployment
from ...layout import check_format
from ...ports import STATE
from ..clock import AwakeClock
from . import names
from .blobs import S3Blobs
from .clients import Clients
from .failures import at_connect
from .queues import Poll, Queues
from .store import DynamoStore


class AwsGateway:
    """`ports.Gateway` of one process for one deployment."""

    address: Optional[str] = None
    thrifty = True

    def __init__(self, clients: Clients, deployment: str, queues: Queues) -> None:
        self.store = DynamoStore(clients, deployment)
        self.queue = queues
        self.blobs = S3Blobs(clients, names.bucket(deployment, queues.account, clients.region))
        self.clock = AwakeClock()
        self._clients = clients
        self._polls: Dict[str, Poll] = {}
        self._losers: Dict[str, Callable[[str], None]] = {}
        self._closed = False
        self._farewells = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @classmethod
    async def open(cls, deployment: str, options: Mapping[str, str]) -> "AwsGateway":
        """Opens the deployment. DeploymentError if it is not there, of a newer format, or not for these credentials."""
        clients = Clients(options.get("region"), options.get("endpoint_url"))
        try:
            await clients.open()
            await _check_format(clients, deployment)
            return cls(clients, deployment, await Queues.find(clients, deployment))
        except Exception as error:
            await clients.close()
            raise at_connect(error, deployment) from error

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`: makes the queue and polls it."""
        url = await self.queue.make(inbox)
        self._polls[inbox] = Poll(self.queue, url, receive, lost)
        self._losers[inbox] = lost

    async def hush(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.hush`."""
        poll = self._polls.pop(inbox, None)
        self._losers.pop(inbox, None)
        if self._closed:
            return
        self._farewells += 1
        self._quiet.clear()
        try:
            if poll is not None:
                await poll.stop()
            if not keep:
                await self.queue.drop(inbox)
        finally:
            self._farewells -= 1
            if not self._farewells:
                self._quiet.set()

    async def check(self) -> None:
        """`ports.Gateway.check`: only sending tells."""

    async def close(self) -> None:
        """`ports.Gateway.close`."""
        for lost in list(self._losers.values()):
            lost("the deployment was closed")
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
