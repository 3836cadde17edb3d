"""The faults that kazoo's harness asks for are made for real: the functions expire the session, the network is cut.

kazoo's own hooks make the client believe it. What is waited for is the same: LOST or SUSPENDED, then CONNECTED.
"""

from __future__ import annotations

import os
from typing import Any, Callable, List, NamedTuple, Optional, cast

from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.states import KazooState

from fk_backend.layout import session_key
from fk_backend.ports import Clock, Gateway, Queue, Store
from fk_backend.testing.faults import expire

from .. import loop_thread
from .cluster import PATIENCE_S, in_loop

LOSS_S = 5.0
EXPIRY_S = 30.0
"""How long an expiry that was ordered may take: on a busy machine with an emulator there, seconds."""
POLL_S = 0.01
AGAIN_S = 1.0
"""Between two orders for one expiry."""
CLOUD_PAUSE_S = 1.0
"""Longer than a recipe takes to begin where every request goes over a network."""
OPERATOR = "FK_KAZOO_OPERATOR"
"""The variable with the access key and the secret of whoever operates a deployment on AWS: ``key:secret``."""
RETURN_S = 40.0
"""kazoo's own patience is 15 s, which is what a session may take to open on AWS."""


class Inside(NamedTuple):
    """A gateway as the functions' side of it would look: what is sent here is taken for the functions' own."""

    store: Store
    queue: Queue
    clock: Clock


def expire_session(harness: Any, event_factory: Callable[[], Any]) -> None:
    """As kazoo's: has the deployment expire the session of the harness's client."""
    client = harness.client
    if client.deployment.scheme == "aws":
        # kazoo's tests start an acquisition right before this and count on it to be waiting when the session expires.
        client.handler.sleep_func(CLOUD_PAUSE_S)
    expire_now(client, event_factory)


def expire_now(client: Any, event_factory: Callable[[], Any]) -> None:
    """Has the deployment expire the client's session; done when it has another one.

    At once where it can be ordered from this process, elsewhere when its timeout is over. Meanwhile its beats are lost
    on their way: an order is void if the session beats after it was judged.
    """
    client_link, session = client._connection.client_link, client.client_id[0]

    async def order() -> bool:
        inside = _inside(await _gateway(client))
        if inside is not None:
            await expire(cast(Gateway, inside), client.deployment.namespace, session)
        return inside is not None

    def inject() -> float:
        client_link.loses_beats = True
        is_ordered = loop_thread.run(SequentialThreadingHandler(), order, PATIENCE_S)
        return EXPIRY_S if is_ordered else LOSS_S + client._session_timeout / 1000.0

    def mend() -> None:
        client_link.loses_beats = False

    try:
        _inject(client, inject, KazooState.LOST, event_factory, mend)
    finally:
        mend()


async def _gateway(client: Any) -> Any:
    """The deployment; also where the client, which can't reach it just now, has let go of it."""
    opening = loop_thread.current().acquire(client.deployment)
    try:
        return await opening.gateway()
    finally:
        loop_thread.current().release(opening)


def _inside(gateway: Any) -> Optional[Inside]:
    """The functions' side, if it is in this process."""
    link = getattr(gateway, "link", None)
    queue = gateway.queue if link is None else link._host
    if gateway.store.capabilities.charges_for_beats:
        queue = _OrderedQueue(gateway)
    return None if queue is None else Inside(gateway.store, queue, gateway.clock)


class _OrderedQueue:
    """What is sent here is in the order book of the heartbeat, as on AWS it has to be."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        await _order(self._gateway, group, message_id)
        await self._gateway.queue.send(group, message_id, body)


async def _order(gateway: Any, ns: str, sent_id: str) -> None:
    """With the operator's credentials, if there are any: a client's must not suffice."""
    from fk_backend.providers.aws.ticks import Orders

    key, _, secret = os.environ.get(OPERATOR, "").partition(":")
    if not key:
        return await Orders(gateway.store).give(ns, sent_id)
    async with gateway.store.for_operator(key, secret) as store:
        await Orders(store).give(ns, sent_id)


def expire_cut_off(client: Any, session: int) -> None:
    """Has the deployment expire a session whose client hears nothing; done when it has. Its beats must be lost."""

    async def order() -> bool:
        inside = _inside(await _gateway(client))
        if inside is None:
            raise ValueError("the functions of %s are not in this process" % client.deployment)
        ns = client.deployment.namespace
        await expire(cast(Gateway, inside), ns, session)
        (item,) = await inside.store.get([session_key(ns, session)])
        return item is None

    waited_s = 0.0
    while not loop_thread.run(SequentialThreadingHandler(), order, PATIENCE_S):
        if waited_s > EXPIRY_S:
            raise AssertionError("the session 0x%x does not expire" % session)
        client.handler.sleep_func(POLL_S)
        waited_s += POLL_S


def lose_connection(harness: Any, event_factory: Callable[[], Any]) -> None:
    """Cuts the harness's client off until it has noticed."""
    lose_now(harness.client, event_factory)


def lose_now(client: Any, event_factory: Callable[[], Any]) -> None:
    """Cuts the client off until it has noticed."""
    client_link = client._connection.client_link
    cuts: List[bool] = []

    def inject() -> float:
        if not cuts:
            in_loop(client_link.cut)
            cuts.append(True)
        return LOSS_S

    def mend() -> None:
        if cuts:  # once: others may have cut it as well
            in_loop(client_link.mend)
            cuts.clear()

    try:
        _inject(client, inject, KazooState.SUSPENDED, event_factory, mend)
    finally:
        mend()


def _inject(
    client: Any,
    inject: Callable[[], float],
    expected: str,
    event_factory: Callable[[], Any],
    mend: Callable[[], None],
) -> None:
    """Makes a fault until the client has told of it, mends it, and waits until the client is back.

    ``inject`` makes the fault, which may come to nothing, and says how long it may take in all.
    """
    lost, safe = event_factory(), event_factory()

    def listen(state: str) -> bool:
        if state == expected:
            lost.set()
        elif lost.is_set() and state == KazooState.CONNECTED:
            safe.set()
            return True
        return False

    client.add_listener(listen)
    timeout_s, waited = inject(), 0.0
    while not lost.is_set() and waited < timeout_s:
        lost.wait(AGAIN_S)
        waited += AGAIN_S
        if not lost.is_set():
            inject()
    if not lost.is_set():
        raise Exception("Failed to get notified of broken connection.")
    mend()
    safe.wait(RETURN_S)
    if not safe.is_set():
        raise Exception("Failed to see client reconnect.")
    client.retry(client.get_async, "/")
