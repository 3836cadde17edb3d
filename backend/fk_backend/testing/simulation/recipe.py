"""The lock of ZooKeeper's recipes on a session's ops, so that exclusion can be judged in the simulation.

Who holds it writes the czxid of its own node, its fence, to a resource. In zxid order, a fence may be written only
while its node is the first in line.
"""

from __future__ import annotations

from typing import Any, Optional

from ...core.acls import OPEN_ACL
from ...core.model import Error
from ...core.requests import Create, Delete, Flags, SetData
from ...session.ops import Exists, GetChildren
from .client import Client, Connection
from .plan import Lock

POLL_S = 0.05
TRIES = 40


async def lock(client: Client, wanted: Lock) -> None:
    """Takes the lock and gives it back; gives up when the connection goes."""
    connection = await client.connected()
    node = Create(wanted.path + "/lock-", b"", OPEN_ACL, Flags.EPHEMERAL_SEQUENTIAL, 0, True)
    made = await connection.ask(node)
    if made is None or made.code != Error.OK:
        return
    path, stat = made.value
    fence = int(stat[0])
    if await _first(client, connection, wanted.path, path):
        client.world.note(client.name, "holds", (path, fence))
        await connection.ask(SetData(wanted.resource, b"fence %d %s" % (fence, path.encode()), -1))
    if connection.over_with is None:
        await connection.ask(Delete(path, -1))


async def _first(client: Client, connection: Connection, above: str, path: str) -> bool:
    name = path.rsplit("/", 1)[1]
    for _ in range(TRIES):
        listed: Optional[Any] = await connection.ask(GetChildren(above, False))
        if listed is None or listed.code != Error.OK:
            return False
        earlier = sorted(each for each in listed.value[0] if each < name)
        if name not in listed.value[0]:
            return False
        if not earlier:
            return True
        there = await connection.ask(Exists("%s/%s" % (above, earlier[-1]), True))
        if there is None:
            return False
        await client.process.pass_time(POLL_S)
    return False
