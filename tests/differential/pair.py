"""A real ZooKeeper and the core side by side: the same requests go to both, and every answer is compared.

Zxids, session ids and times differ between the two; what is compared is that they correspond, one to one and in order.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError
from kazoo.protocol.serialization import Watch

from fk_backend.core import reads
from fk_backend.core.acls import authenticate, may_know
from fk_backend.core.errors import ZkError
from fk_backend.core.model import Acls, Error, Id, Stat
from fk_backend.core.requests import Auth, Close, Create, Flags, Multi, Op, Request, Result
from fk_backend.core.watches import PERSISTENT, RECURSIVE, matches

from ..core.world import World
from . import wire
from .zookeeper_server import SUPER_CREDENTIAL, SUPER_DIGEST

MODES = {PERSISTENT: 0, RECURSIVE: 1}
"""``ZooDefs.AddWatchModes``."""


class Correspondence:
    """Zxids, sessions and times of the one side, matched with the other's."""

    def __init__(self) -> None:
        self.zxids: Dict[int, int] = {}
        self.sessions: Dict[int, int] = {}
        self._times: Tuple[Dict[int, int], Dict[int, int]] = ({}, {})

    def compare(self, real: Stat, ours: Stat) -> None:
        """Every field of two Stats."""
        for field in ("czxid", "mzxid", "pzxid"):
            self._zxid(getattr(real, field), getattr(ours, field))
        for times, stat in zip(self._times, (real, ours)):
            for zxid, time_ms in ((stat.czxid, stat.ctime), (stat.mzxid, stat.mtime)):
                assert times.setdefault(zxid, time_ms) == time_ms, (zxid, time_ms, stat)
        owner = self.sessions[real.ephemeralOwner] if real.ephemeralOwner else 0
        assert owner == ours.ephemeralOwner, (real, ours)
        for field in ("version", "cversion", "aversion", "dataLength", "numChildren"):
            assert getattr(real, field) == getattr(ours, field), (field, real, ours)

    def _zxid(self, real: int, ours: int) -> None:
        assert self.zxids.setdefault(real, ours) == ours, (real, ours, self.zxids)

    def check_order(self) -> None:
        """The zxids of both sides are in the same order."""
        ours = [self.zxids[real] for real in sorted(self.zxids)]
        assert ours == sorted(set(ours)), self.zxids


class Party:
    """One session on both sides."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.session = 0
        self.client: KazooClient
        self.open()

    def open(self) -> None:
        """Open the session on both sides."""
        self.client = KazooClient(self._pair.hosts, timeout=60.0)
        self.client.start(timeout=30)
        self.session = self._pair.world.open()
        self._pair.same.sessions[self.client.client_id[0]] = self.session

    def close(self) -> None:
        """Close it, first on the real side; when this returns, its ephemerals are gone on both."""
        self.client.stop()
        self.client.close()
        self._pair.world.do(self.session, Close())
        self._pair.ends.add(self._pair.world.zxid)

    def auth(self, scheme: str, credential: str) -> None:
        """add_auth on both."""
        try:
            self.client.add_auth(scheme, credential)
            code = Error.OK
        except AuthFailedError:
            code = Error.AUTH_FAILED
        assert self._pair.world.one(self.session, Auth(scheme, credential)).code == code

    def identities(self) -> Tuple[Id, ...]:
        """The identities of our side."""
        return self._pair.world.sessions[self.session].identities


class Watcher:
    """A persistent watch on the real side, and what it should have seen by our table.

    Since 3.8.4 (CVE-2024-23944, and in Debian's 3.8.0) the server keeps an event from a session that may not read the
    node (for CHILD: the parent) by its ACL at the time of the change. ``credential``: who it is, besides its address.
    """

    def __init__(self, pair: Pair, mode: str, path: str, credential: str = SUPER_CREDENTIAL) -> None:
        self._pair, self._mode, self._path = pair, mode, path
        self._seen: List[Tuple[str, int]] = []
        self._first = len(pair.world.triggers)
        self._client = KazooClient(pair.hosts, timeout=60.0)
        self._client.start(timeout=30)
        self._identities: Tuple[Id, ...] = (Id("ip", "127.0.0.1"),)
        if credential:
            self._client.add_auth("digest", credential)
            self._identities += authenticate("digest", credential, Id("digest", SUPER_DIGEST)) or ()
        self._client._connection._read_watch_event = self._on_event  # kazoo 2.11 knows one-shot watches only
        assert wire.add_watch(self._client, path, MODES[mode]) == Error.OK

    def _on_event(self, data: bytes, offset: int) -> None:
        event, _ = Watch.deserialize(data, offset)
        self._seen.append((event.path, event.type))

    def finish(self) -> None:
        """Compare, in order; only the nodes of a session that ended may go in any order."""
        self._client.sync("/")  # its answer comes after every event
        self._client.stop()
        self._client.close()
        at = 0
        for zxid, group in itertools.groupby(self._pair.world.triggers[self._first :], lambda each: each.zxid):
            mine = [t for t in group if matches(self._mode, self._path, t) and may_know(t.readers, self._identities)]
            ours = [(t.path, t.kind) for t in mine]
            real, at = self._seen[at : at + len(ours)], at + len(ours)
            if zxid in self._pair.ends:
                ours, real = sorted(ours), sorted(real)
            assert real == ours, (zxid, self._seen)
        assert at == len(self._seen), (self._seen, self._pair.world.triggers)


class Pair:
    """Both sides, for one program, which may use everything under ``base`` and any number of parties."""

    def __init__(self, hosts: str, base: str) -> None:
        self.hosts = hosts
        self.base = base
        self.world = World(super_id=Id("digest", SUPER_DIGEST))
        self.same = Correspondence()
        self.ends: Set[int] = set()
        self.root = Party(self)
        self.root.auth("digest", SUPER_CREDENTIAL)

    def write(self, party: Party, request: Request) -> int:
        """Send a write to both; its code."""
        if isinstance(request, Multi):
            request = Multi(tuple(as_asked_in_multi(op) for op in request.ops))
        code, value = wire.write(party.client, request)
        result = self.world.one(party.session, request)
        assert (code, request) == (result.code, request), result
        if isinstance(request, Multi):
            self._compare_multi(request, value, result.value)
        elif code == Error.OK:
            self._compare_value(value, result.value)
        return code

    def _compare_multi(self, request: Multi, real: List[Tuple[int, Any]], ours: Tuple[Result, ...]) -> None:
        assert [code for code, _ in real] == [each.code for each in ours], (request, real, ours)
        for (_, value), each in zip(real, ours):
            self._compare_value(value, each.value)

    def _compare_value(self, real: Any, ours: Any) -> None:
        if isinstance(real, Stat):
            self.same.compare(real, ours)
        elif isinstance(real, tuple):
            assert real[0] == ours[0]
            self.same.compare(real[1], ours[1])
        else:
            assert real == ours, (real, ours)

    def read_all(self, party: Party, path: str) -> Optional[List[str]]:
        """Ask both everything about a node, as ``party``; the names of its children, if they may be seen."""
        found, who = self.world.nodes.get(path), party.identities()
        self._read(party, wire.EXISTS, path, lambda: reads.exists(found))
        self._read(party, wire.GET, path, lambda: reads.get(found, who))
        self._read(party, wire.GET_ACL, path, lambda: _sorted_acl(reads.get_acl(found, who)))
        names = reads.child_names(path, self.world.nodes)
        seen = self._read(party, wire.CHILDREN, path, lambda: (names, reads.children(found, who)))
        return names if seen else None

    def _read(self, party: Party, type_: int, path: str, ours: Callable[[], Any]) -> bool:
        code, real = wire.read(party.client, type_, path)
        try:
            expected = ours()
        except ZkError as error:
            assert (type_, path, code) == (type_, path, error.code)
            return False
        assert (type_, path, code) == (type_, path, Error.OK)
        self._compare_value(_sorted_acl(real) if type_ == wire.GET_ACL else real, expected)
        return True

    def compare_tree(self) -> None:
        """Every node under base, seen by ``super``."""
        pending = [self.base]
        while pending:
            path = pending.pop()
            names = self.read_all(self.root, path)
            pending += ["%s/%s" % (path, name) for name in names or ()]
        self.same.check_order()

    def finish(self) -> None:
        """Leave the real server as it was."""
        self.root.client.delete(self.base, recursive=True)
        self.root.close()


def _sorted_acl(value: Tuple[Acls, Stat]) -> Tuple[Acls, Stat]:
    """Server-side the identities of a session are a hash set: the order of what "auth" expands to means nothing."""
    return tuple(sorted(value[0])), value[1]


def as_asked(op: Create) -> Create:
    """ZooKeeper decides by the kind of create whether the answer has a Stat."""
    return op._replace(with_stat=wire.answers_with_stat(op))


def as_asked_in_multi(op: Op) -> Op:
    """ZooKeeper's multi turns create2 into create, and createTTL of a mode without TTL, too (``Op.Create``)."""
    if not isinstance(op, Create):
        return op
    has_ttl = op.flags in (Flags.TTL, Flags.TTL_SEQUENTIAL)
    return op._replace(with_stat=has_ttl or op.flags == Flags.CONTAINER, ttl_ms=op.ttl_ms if has_ttl else -1)
