"""Faults of clients for asyncio: as `kit.Faults` makes them, waited for in the client's own event loop."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, AsyncIterator, Awaitable, Callable, Optional, cast

from kazoo.handlers.threading import SequentialThreadingHandler

from fk_backend.layout import session_key
from fk_backend.ports import Gateway
from fk_backend.testing.faults import expire

from .. import loop_thread
from ..held_nodes import uninterrupted
from . import faults
from .cluster import PATIENCE_S, ClientLink

POLL_S = 0.005


class AsyncFaults:
    """Faults that a client of `fk_kazoo.aio` is told of. Each is done when it was told of it.

    ValueError for a client that was started before the kit was there; TypeError for one that is not for asyncio.
    """

    async def expire(self, client: Any) -> None:
        """As `Faults.expire`: LOST, then CONNECTED, with another session. Cut off, it is told later."""
        client_link, session = _client_link(client), _session(client)
        with uninterrupted():  # by a lock in whose body the test does this
            was_beating, client_link.loses_beats = not client_link.loses_beats, True
            try:
                await _expired(client, session)
            finally:
                client_link.loses_beats = not was_beating
            if not client_link.is_cut:
                await _until(client, lambda: client.connected and client._session_id != session)

    async def disconnect(self, client: Any) -> None:
        """As `Faults.disconnect`: SUSPENDED, then CONNECTED, with the same session."""
        client_link = _client_link(client)
        if not client_link.is_cut:
            with uninterrupted():
                connection = client._connection
                client_link.disconnect_all()
                await _until(client, lambda: client.connected and client._connection is not connection)

    @asynccontextmanager
    async def partition(self, *clients: Any) -> AsyncIterator[None]:
        """As `Faults.partition`: SUSPENDED; when it ends CONNECTED, or LOST before."""
        async with AsyncExitStack() as stack:
            for client in clients:
                _client_link(client).cut()
                stack.push_async_callback(self._restored, client)
            for client in clients:
                await _until(client, partial(_is_fanned_out, client, False))
            yield

    async def _restored(self, client: Any) -> None:
        client_link = _client_link(client)
        client_link.mend()
        if not client_link.is_cut:  # else another partition goes on
            await _until(client, partial(_is_fanned_out, client, True))

    @asynccontextmanager
    async def suspend(self, client: Any) -> AsyncIterator[None]:
        """As `Faults.suspend`: it hears nothing until its session has expired; then LOST, CONNECTED."""
        client_link, session = _client_link(client), _session(client)
        client_link.pause(True)
        try:
            await _expired(client, session)
            yield
        finally:
            client_link.pause(False)
        if not client_link.is_cut:
            await _until(client, lambda: client.connected and client._session_id != session)


def is_of_asyncio(client: Any) -> bool:
    """Whether it is one of `fk_kazoo.aio`."""
    module = sys.modules.get("fk_kazoo.aio.client")
    return module is not None and isinstance(client, module.KazooClient)


def link_of(client: Any) -> Optional[ClientLink]:
    """Its cable; None if it never connected while there was a kit."""
    return cast("Optional[ClientLink]", vars(client).get("_kit_cable"))


def through_links(real: "Callable[[Any], Awaitable[Gateway]]") -> "Callable[[Any], Awaitable[Gateway]]":
    """`Life._gateway`, by a way that can fail."""

    async def gateway(self: Any) -> Gateway:
        client_link = vars(self).setdefault("_kit_cable", ClientLink())
        return cast(Gateway, client_link.through(await real(self)))

    return gateway


def in_its_loop(client: Any, what: Callable[[], None]) -> None:
    """Has the client's loop call it, where that runs in another thread; else at once."""
    own = client._loop
    if own is not None and own.is_running() and own is not asyncio._get_running_loop():
        own.call_soon_threadsafe(what)
    else:
        what()


def _client_link(client: Any) -> ClientLink:
    if not is_of_asyncio(client):
        raise TypeError("this is a client with threads: call the method of that name in `faults`")
    client._own_loop()
    client_link = link_of(client)
    if client_link is None:
        raise ValueError("the client was started before the kit was there, or not at all")
    return client_link


def _session(client: Any) -> int:
    if not client._session_id:
        raise ValueError("the client has no session: it was not started, or it was stopped")
    return int(client._session_id)


async def _expired(client: Any, session: int) -> None:
    """Until the deployment has expired it: at once where that can be ordered from here, else by its timeout."""

    async def order() -> bool:
        gateway = await faults._gateway(client)
        ns, inside = client.deployment.namespace, faults._inside(gateway)
        if inside is not None:
            await expire(cast(Gateway, inside), ns, session)
        (item,) = await gateway.store.get([session_key(ns, session)])
        return item is None

    async def expired() -> None:
        while not await asyncio.to_thread(loop_thread.run, SequentialThreadingHandler(), order, PATIENCE_S):
            await asyncio.sleep(faults.POLL_S)

    await asyncio.wait_for(expired(), faults.EXPIRY_S + client._session_timeout / 1000.0)


def _is_fanned_out(client: Any, connected: bool) -> bool:
    return bool(client.connected) is connected


async def _until(client: Any, condition: Callable[[], bool]) -> None:
    """Until that is so, or the app has stopped the client."""
    ends = asyncio.get_running_loop().time() + faults.EXPIRY_S
    while not (client._stopped or condition()):
        if asyncio.get_running_loop().time() > ends:
            raise AssertionError("the client did not notice: it is %s" % client.state)
        await asyncio.sleep(POLL_S)
