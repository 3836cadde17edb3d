"""The faults that kazoo's harness asks for are made for real: the functions expire the session, the network is cut.

kazoo's own hooks make the client believe it. What is waited for is the same: LOST or SUSPENDED, then CONNECTED.
"""

from __future__ import annotations

from typing import Any, Callable

from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.states import KazooState

from fk_backend.testing.faults import expire
from fk_kazoo import loop

from .cluster import CUT, MENDED, PATIENCE_S, in_loop

LOSS_S = 5
RETURN_S = 15
"""kazoo's own patience."""


def expire_session(harness: Any, event_factory: Callable[[], Any]) -> None:
    """Has the deployment expire the session of the harness's client."""
    client = harness.client

    async def run_out() -> None:
        gateway = await client._connection._opening.gateway()
        await expire(gateway, client.deployment.namespace, client.client_id[0])

    def strike() -> None:
        loop.run(SequentialThreadingHandler(), run_out, PATIENCE_S)

    _strike(client, strike, KazooState.LOST, event_factory)


def lose_connection(harness: Any, event_factory: Callable[[], Any]) -> None:
    """Cuts the harness's client off until it has noticed."""
    client = harness.client
    cable = client._connection.cable
    try:
        _strike(
            client,
            lambda: in_loop(lambda: cable.become(CUT)),
            KazooState.SUSPENDED,
            event_factory,
            lambda: in_loop(lambda: cable.become(MENDED)),
        )
    finally:
        in_loop(lambda: cable.become(MENDED))


def _strike(
    client: Any,
    strike: Callable[[], None],
    expected: str,
    event_factory: Callable[[], Any],
    mend: Callable[[], None] = lambda: None,
) -> None:
    """Makes a fault, waits until the client has told of it, mends it, and waits until the client is back."""
    lost, safe = event_factory(), event_factory()

    def listen(state: str) -> bool:
        if state == expected:
            lost.set()
        elif lost.is_set() and state == KazooState.CONNECTED:
            safe.set()
            return True
        return False

    client.add_listener(listen)
    strike()
    lost.wait(LOSS_S)
    if not lost.is_set():
        raise Exception("Failed to get notified of broken connection.")
    mend()
    safe.wait(RETURN_S)
    if not safe.is_set():
        raise Exception("Failed to see client reconnect.")
    client.retry(client.get_async, "/")
