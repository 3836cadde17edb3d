"""ZooKeeper's four letter words, answered for a deployment: what is true of it, and nothing made up.

Figures that a deployment has no counterpart for (latencies of a server, packets) are left out rather than shown as 0.
"""

from __future__ import annotations

import platform
import sys
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, List, NamedTuple, Optional, Tuple

from .. import layout
from ..core.owners import is_ephemeral
from ..errors import NotAllowed
from ..ports import INTEREST, SESSIONS, STATE, Gateway, Item, Key

ZOOKEEPER_VERSION = "3.8.0"
"""The release of ZooKeeper whose semantics a deployment has."""
VERSION = ZOOKEEPER_VERSION + "-fk_kazoo"
"""As clients and monitors look for it that ask a server before they connect."""


class Target(NamedTuple):
    """What a word is asked of."""

    gateway: Gateway
    ns: str
    url: str
    host: str


class Tally(NamedTuple):
    """Counts of one namespace."""

    nodes: int
    ephemerals: Dict[int, List[str]]
    data_bytes: int
    sessions: List[Any]
    watches: List[Tuple[str, str]]
    zxid: int


async def answer_word(gateway: Gateway, ns: str, word: str, url: str, host: str) -> str:
    """The answer to a word, asked from a host; empty for one that ZooKeeper does not know either."""
    answer = _WORDS.get(word)
    try:
        return "" if answer is None else await answer(Target(gateway, ns, url, host))
    except NotAllowed:  # where credentials are a client's alone: what ZooKeeper says of a word that is switched off
        return "%s is not executed because these credentials may not read all of the deployment.\n" % word


async def _rows(gateway: Gateway, table: str, prefix: str) -> AsyncIterator[Tuple[Key, Item]]:
    """A page at a time: all of a namespace may be more than fits into memory."""
    after: Optional[Tuple[str, str]] = None
    while True:
        page = await gateway.store.scan(table, prefix, after)
        for row in page:
            yield row
        if len(page) < 1000:
            return
        after = (page[-1][0].partition, page[-1][0].sort)


async def tally(gateway: Gateway, ns: str) -> Tally:
    """Reads all of a namespace. NotAllowed where credentials are a client's alone; BackendError."""
    prefix = ns + ":"
    nodes, size, zxid = 0, 0, 0
    ephemerals: Dict[int, List[str]] = {}
    async for key, item in _rows(gateway, STATE, prefix):
        if key.sort == "head":
            zxid = item.rev
        elif key.sort == layout.NODE:
            node = layout.node_of(item)
            nodes += 1
            path = key.partition[len(prefix) :]
            size += len(path) + len(node.data or b"")
            if is_ephemeral(node.owner):
                ephemerals.setdefault(node.owner, []).append(path)
    sessions = [layout.session_of(item) async for _, item in _rows(gateway, SESSIONS, layout.sessions_partition(ns))]
    watches = []
    async for key, _ in _rows(gateway, INTEREST, prefix):
        found = layout.interest_of(key)
        if isinstance(found, layout.Registered):
            watches.append((found.path, found.inbox))
    return Tally(nodes, ephemerals, size, sessions, watches, zxid)


async def _tally(target: Target) -> Tally:
    return await tally(target.gateway, target.ns)


async def _ruok(target: Target) -> str:
    await target.gateway.check()
    return "imok"


async def _isro(target: Target) -> str:
    await target.gateway.check()
    return "rw"


async def _envi(target: Target) -> str:
    return "\n".join(
        [
            "Environment:",
            "zookeeper.version=%s" % ZOOKEEPER_VERSION,
            "fk_kazoo.deployment=%s" % target.url,
            "fk_kazoo.namespace=%s" % target.ns,
            "host.name=%s" % target.host,
            "python.version=%s" % sys.version.split()[0],
            "os.name=%s" % platform.system(),
            "os.arch=%s" % platform.machine(),
            "os.version=%s" % platform.release(),
            "",
        ]
    )


async def _srvr(target: Target) -> str:
    try:
        found = await _tally(target)
    except NotAllowed:
        return "Zookeeper version: %s\nMode: standalone\n" % VERSION
    return "Zookeeper version: %s\nConnections: %d\nOutstanding: 0\nZxid: 0x%x\nMode: standalone\nNode count: %d\n" % (
        VERSION,
        len(found.sessions),
        found.zxid,
        found.nodes,
    )


async def _stat(target: Target) -> str:
    head, _, rest = (await _srvr(target)).partition("\n")
    return "%s\nClients:\n%s\n%s" % (head, await _cons(target), rest)


async def _cons(target: Target) -> str:
    lines = (
        " /%s[1](sid=0x%x,to=%d)\n" % (next((i.id for i in s.identities if i.scheme == "ip"), "?"), s.id, s.timeout_ms)
        for s in (await _tally(target)).sessions
    )
    return "".join(lines)


async def _mntr(target: Target) -> str:
    found = await _tally(target)
    figures = {
        "zk_version": VERSION,
        "zk_server_state": "standalone",
        "zk_num_alive_connections": len(found.sessions),
        "zk_znode_count": found.nodes,
        "zk_watch_count": len(found.watches),
        "zk_ephemerals_count": sum(map(len, found.ephemerals.values())),
        "zk_approximate_data_size": found.data_bytes,
    }
    return "".join("%s\t%s\n" % entry for entry in figures.items())


async def _wchs(target: Target) -> str:
    watches = (await _tally(target)).watches
    owners = {inbox for _, inbox in watches}
    paths = {path for path, _ in watches}
    return "%d connections watching %d paths\nTotal watches:%d\n" % (len(owners), len(paths), len(watches))


async def _dump(target: Target) -> str:
    found = await _tally(target)
    lines = ["SessionTracker dump:", "Sessions (%d):" % len(found.sessions)]
    lines += ["0x%x\t%dms" % (session.id, session.timeout_ms) for session in found.sessions]
    lines += ["ephemeral nodes dump:", "Sessions with Ephemerals (%d):" % len(found.ephemerals)]
    for session, paths in sorted(found.ephemerals.items()):
        lines += ["0x%x:" % session, *("\t" + path for path in sorted(paths))]
    return "\n".join(lines) + "\n"


_WORDS: Dict[str, Callable[[Target], Awaitable[str]]] = {
    "ruok": _ruok, "isro": _isro, "envi": _envi, "srvr": _srvr, "stat": _stat,
    "cons": _cons, "mntr": _mntr, "wchs": _wchs, "dump": _dump,
}  # fmt: skip
