"""What an operation asks of the server, and has it read, does not grow with nodes, sessions and watches elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, NamedTuple

import pytest

from compat_tests.on_postgres import PostgresServer
from fk_backend.core.requests import Create, Delete, SetData
from fk_backend.providers.postgres.direct import DirectWrites
from fk_backend.providers.postgres.gateway import PostgresGateway
from fk_backend.session.ops import Exists, GetData

from .links import Gateways, asked, create, elected, opened, several, written

NODES, SESSIONS, BATCH = 600, 40, 100
EPHEMERAL = 1
TUPLES = "SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables WHERE schemaname = 'fk_kazoo'"
FLUSH = "SELECT pg_stat_force_next_flush()"
OPERATIONS = {
    "set": [SetData("/a", b"x", -1)],
    "get": [GetData("/a", False)],
    "exists, of nothing": [Exists("/none", False)],
    "create and delete": [create("/a/new"), Delete("/a/new", -1)],
    "watch and set": [GetData("/a", True), SetData("/a", b"x", -1)],
}


class Cost(NamedTuple):
    """Of an operation: the statements, the rows and bytes of their answers, and the rows that the server read."""

    statements: List[str]
    rows: int
    size: int
    read: int


class Meter:
    """Counts what one process asks of the server and is answered."""

    def __init__(self, server: PostgresServer, gateway: PostgresGateway) -> None:
        self._server, self._connections, self._direct = server, gateway.link.connections, gateway.direct
        self._run = self._connections._run
        self._connections._run = self._counting  # type: ignore[method-assign]
        self._statements: List[str] = []
        self._rows = self._size = 0

    async def _counting(self, sql: str, arguments: Any, writing: bool) -> List[Any]:
        rows = await self._run(sql, arguments, writing)
        self._statements.append(sql)
        self._rows += len(rows)
        self._size += sum(_size(value) for row in rows for value in row)
        return rows

    async def _read(self) -> int:
        await self._run(FLUSH, (), False)
        ((read,),) = await asked(self._server, TUPLES)
        return int(read)

    async def cost(self, session: Any, heard: Any, requests: List[Any]) -> Cost:
        """The cost of these, one after the other. Done before, so that nothing of it is new to this process."""
        assert isinstance(self._direct, DirectWrites)
        for _ in range(2):
            self._direct._contention.clear()  # whomever it has met before
            before = await self._read()
            self._statements, self._rows, self._size = [], 0, 0
            for request in requests:
                assert len(await written(session, heard, request)) == 1
        return Cost(self._statements, self._rows, self._size, await self._read() - before)


def _size(value: Any) -> int:
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value))
    return len(value) if isinstance(value, (bytes, str)) else 8


async def surround(gateway: PostgresGateway, ns: str) -> None:
    """Siblings, nodes elsewhere, and sessions that own a node each and watch others."""
    session, heard = await opened(gateway, ns)
    await written(session, heard, create("/elsewhere"))
    for start in range(0, NODES, BATCH):
        some = range(start, start + BATCH)
        await written(
            session, heard, *[create("/a/%d" % n) for n in some], *[create("/elsewhere/%d" % n) for n in some]
        )
    others = await asyncio.gather(*[opened(gateway, ns) for _ in range(SESSIONS)])
    for n, (other, hearing) in enumerate(others):
        node = "/elsewhere/%d" % n
        own = Create(node + "/own", b"", create("/").acl, EPHEMERAL, 0, False)
        await written(other, hearing, own, GetData(node, True), Exists("/a/missing-%d" % n, True))


@pytest.mark.slow
@several(2)
async def test_what_is_asked_and_read_is_the_same_whatever_there_is_elsewhere(
    server: Any, at: Gateways, ns: str
) -> None:
    if (await asked(server, "SELECT current_setting('server_version_num')::int"))[0][0] < 150_000:
        pytest.skip("PostgreSQL tells what it has read, as soon as it has, from 15 on")
    await elected(at[0], ns)
    session, heard = await opened(at[1], ns)
    await written(session, heard, create("/a"), create("/a/first"))  # from then on a node has a row for its children
    host = at[0].link._host
    assert host is not None

    async def costs() -> Dict[str, Cost]:
        await asyncio.gather(*host._functions._ticking.cancel(), return_exceptions=True)  # it looks at all sessions
        return {name: await meter.cost(session, heard, requests) for name, requests in OPERATIONS.items()}

    meter = Meter(server, at[1])
    few = await costs()
    await surround(at[0], ns)
    many = await costs()
    for name, cost in many.items():
        assert cost.statements == few[name].statements, name
        assert cost.rows <= few[name].rows and cost.read <= few[name].read + 3, (name, few[name][1:], cost[1:])
        assert cost.size <= few[name].size + 200, (name, few[name][1:], cost[1:])
