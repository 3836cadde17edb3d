"""The HTTP requests of one client on AWS, which can be cut: then none is sent, and none is answered.

Rule upheld here: whether the client notices, how soon, and what it does then is the shipped code's alone.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any, List, Set

from fk_kazoo.testing.cluster import CUT, MENDED


class AwsLink:
    """What everything that the client sends goes through. For the loop's thread."""

    def __init__(self) -> None:
        self._state = MENDED
        self._carried: List[Any] = []
        self._breaks: "Set[asyncio.Future[None]]" = set()
        """One for each request that is on its way."""

    def carry_all_of(self, gateway: Any) -> None:
        """Everything that goes through the gateway, which has to be this client's own."""
        if gateway in self._carried:
            return
        self._carried.append(gateway)
        clients = gateway._clients
        for client in (clients.dynamodb, clients.once, clients.sqs, clients.s3):
            carry = functools.partial(self._carry, client._endpoint.http_session)
            client.meta.events.register("before-send.*.*", carry)

    def become(self, state: str) -> None:
        """CUT or MENDED."""
        self._state = state
        for broken in self._breaks if state == CUT else ():
            if not broken.done():
                broken.set_result(None)

    async def _carry(self, session: Any, request: Any, **_: Any) -> Any:
        from botocore.exceptions import ConnectionClosedError, EndpointConnectionError

        if self._state == CUT:
            raise EndpointConnectionError(endpoint_url=request.url)
        broken = asyncio.get_running_loop().create_future()
        sending = asyncio.ensure_future(session.send(request))
        self._breaks.add(broken)
        try:
            await asyncio.wait((sending, broken), return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                raise ConnectionClosedError(endpoint_url=request.url)
            return sending.result()
        finally:
            self._breaks.discard(broken)
            sending.cancel()
