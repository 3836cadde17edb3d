"""Several processes' links to one server in one event loop, and what their sessions hear."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, List

from compat_tests.on_postgres import PostgresServer
from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Node
from fk_backend.core.requests import Create
from fk_backend.errors import Unavailable
from fk_backend.providers.postgres.gateway import PostgresGateway
from fk_backend.session.engine import Session

Gateways = List[PostgresGateway]
TERMINATE_WRITER = "SELECT pg_terminate_backend(pid) FROM fk_kazoo.writer"


class Heard:
    """What a session told."""

    def __init__(self) -> None:
        self.answers: "asyncio.Queue[Any]" = asyncio.Queue()
        self.events: "asyncio.Queue[Any]" = asyncio.Queue()
        self.ended: "asyncio.Queue[str]" = asyncio.Queue()

    def replied(self, tag: Any, result: Any) -> None:
        self.answers.put_nowait((tag, result))

    def fired(self, event: Any) -> None:
        self.events.put_nowait(event)

    def over(self, reason: str, why: str) -> None:
        self.ended.put_nowait(reason)


def several(count: int, **options: str) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """A test with so many links of different processes, as it were."""

    def wrapped(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        def run(server: PostgresServer) -> None:
            async def work() -> None:
                name = server.url.partition("://")[2]
                gateways = [await PostgresGateway.open(name, options) for _ in range(count)]
                try:
                    await asyncio.wait_for(test(server, gateways, "ns-" + test.__name__[5:45]), 60)
                finally:
                    await asyncio.gather(*[gateway.close() for gateway in gateways])

            asyncio.run(work())

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return wrapped


async def opened(gateway: PostgresGateway, ns: str) -> "tuple[Session, Heard]":
    """A session; tried again where a busy machine takes its time with an election."""
    while True:
        heard = Heard()
        session = Session(gateway, ns, heard)
        try:
            await session.open(10_000)
            return session, heard
        except Unavailable:
            continue


async def elected(gateway: PostgresGateway, ns: str) -> "tuple[Session, Heard]":
    """As `opened`, and the writer: the one of the last test may answer until its process has ended."""
    both = await opened(gateway, ns)
    while gateway.link._host is None:
        await gateway.check()
        await asyncio.sleep(0.05)
    return both


async def written(session: Session, heard: Heard, *requests: Any) -> List[Any]:
    """The results, in order."""
    for request in requests:
        session.submit(None, request)
    return [(await heard.answers.get())[1] for _ in requests]


async def node(gateway: PostgresGateway, ns: str, path: str) -> Node:
    """As it is stored."""
    (found,) = await gateway.store.get([layout.node_keys(ns, path)[0]])
    assert found is not None
    return layout.node_of(found)


async def asked(server: PostgresServer, sql: str, *arguments: Any) -> List[Any]:
    """What the administrator is answered."""
    rows: List[Any] = await asyncio.get_running_loop().run_in_executor(None, server.ask, sql, *arguments)
    return rows


def create(path: str, data: bytes = b"") -> Create:
    return Create(path, data, OPEN_ACL, 0, 0, False)
