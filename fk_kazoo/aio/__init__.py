"""kazoo's client for asyncio: the same operations, recipes, exceptions and states, as coroutines, in the caller's loop.

    session      the life of a client; connection: one connection of it; operations: its requests
    client       all of it: what begins and ends a client, and what it makes
    watching     async iterators over changes; watches: who is called; calling: DataWatch, ChildrenWatch
    recipes      kazoo's recipes; holding, kept, creating: fences, `keep`, `create_once`
    cleanup      nodes that have to go although their task was cancelled; retrying; deployments: what a loop has open

No thread runs below it, and no task outlives its client (docs/asyncio.md).

Imports: fk_backend, and what both clients share. Never: fk_kazoo.client, fk_kazoo.connection, fk_kazoo.channel.
"""

from __future__ import annotations

from kazoo.protocol.states import EventType as EventType
from kazoo.protocol.states import KazooState as KazooState
from kazoo.protocol.states import WatchedEvent as WatchedEvent
from kazoo.protocol.states import ZnodeStat as ZnodeStat

from .client import KazooClient as KazooClient
from .transaction import TransactionRequest as TransactionRequest

__all__ = ["EventType", "KazooClient", "KazooState", "TransactionRequest", "WatchedEvent", "ZnodeStat"]
