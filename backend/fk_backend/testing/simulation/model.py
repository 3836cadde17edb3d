"""ZooKeeper's semantics a second time, as plainly as they can be said: the witness shares no rule with the core.

One request after the other, in the order of the queue; every state there ever was is kept. Only value types (Stat,
requests, error codes) are the product's. What no workload here asks for (int32 overflow, ip ranges) is left out.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Dict, List, NamedTuple, Tuple

from ...core.model import Acl, Error, Stat
from ...core.requests import (
    Attach,
    Auth,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Multi,
    Open,
    Reap,
    SetAcl,
    SetData,
    StopTicking,
    WatchSubtrees,
)

READ, WRITE, CREATE, DELETE, ADMIN = 1, 2, 4, 8, 16
CREATED, DELETED, CHANGED, CHILD = 1, 2, 3, 4
KEPT = ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")
EVERYBODY = (Acl(31, "world", "anyone"),)
READERS = (Acl(1, "world", "anyone"),)


class Znode(NamedTuple):
    """A node with everything a Stat shows. ``ttl_ms`` is -1 for a container, 0 for what is neither."""

    czxid: int
    mzxid: int
    pzxid: int
    ctime: int
    mtime: int
    version: int
    aversion: int
    owner: int
    data: Any
    acl: Tuple[Acl, ...]
    births: int
    children: Tuple[str, ...]
    uncounted: int = 0
    """Children that were there from the start: no create counted them."""
    ttl_ms: int = 0

    def stat(self) -> Stat:
        """As ZooKeeper shows it: cversion is births plus deaths."""
        deaths = self.births + self.uncounted - len(self.children)
        return Stat(
            self.czxid, self.mzxid, self.ctime, self.mtime, self.version, self.births + deaths - self.uncounted,
            self.aversion, self.owner, len(self.data or b""), len(self.children), self.pzxid,
        )  # fmt: skip


class Live(NamedTuple):
    """A session."""

    digest: bytes
    timeout_ms: int
    inbox: str
    identities: Tuple[Tuple[str, str], ...]


class OrderedAnswer(NamedTuple):
    """The answer to a request, as the product's Result, and where in the order it came."""

    code: int
    value: Any
    zxid: int
    position: int


class Refusal(Exception):
    """A request fails with this code."""


State = Dict[str, Znode]


def first_state() -> State:
    """A fresh ZooKeeper."""

    def node(acl: Tuple[Acl, ...], aversion: int, *children: str) -> Znode:
        return Znode(0, 0, 0, 0, 0, 0, aversion, 0, b"", acl, 0, children, len(children))

    return {
        "/": node(EVERYBODY, 0, "zookeeper"),
        "/zookeeper": node(EVERYBODY, 0, "config", "quota"),
        "/zookeeper/quota": node(EVERYBODY, 0),
        "/zookeeper/config": node(READERS, -1),
    }


class Model:
    """One namespace. ``states[z]`` is the tree at zxid z, ``triggers`` what happened when."""

    def __init__(self, namespace_id: int) -> None:
        self.namespace_id = namespace_id
        self.zxid = 0
        self.position = 0
        self.now_ms = 0
        self.subtrees = False
        self.tree: State = first_state()
        self.sessions: Dict[int, Live] = {}
        self.states: List[State] = [dict(self.tree)]
        self.alive: List[Dict[int, Live]] = [{}]
        self.triggers: List[Tuple[int, str, int]] = []
        self.acls: List[Tuple[Acl, ...]] = []
        """Of each trigger: the ACL of its node at that change."""
        self.ends: Dict[int, Tuple[int, bool]] = {}
        """Session → zxid of its end, and whether it expired."""
        self.rests: List[int] = []
        """Zxids at which the heartbeat went to rest."""
        self.multis: List[int] = []
        self.early: List[str] = []
        """Containers and TTL nodes that went before they were due."""
        """Zxids of multis that changed something."""
        self._changed = False
        self._news: List[Tuple[int, str, int, Tuple[Acl, ...]]] = []

    def step(self, session: int, inbox: str, request: Any, now_ms: int, happens: bool = True) -> OrderedAnswer:
        """The next request. ``happens``: whether an Expire or Reap, which the model can't judge, took effect."""
        self.now_ms = now_ms
        self.position += 1
        before, lives = dict(self.tree), dict(self.sessions)
        self._changed, self._news = False, []
        code, value = Error.OK, None
        try:
            value = self._do(session, inbox, request, happens)
        except Refusal as refusal:
            code = refusal.args[0]
            self.tree, self.sessions = before, lives
            self._changed = False
        if self._changed:
            self.zxid += 1
            self.triggers.extend(news[:3] for news in self._news)
            self.acls.extend(news[3] for news in self._news)
            self.states.append(dict(self.tree))
            self.alive.append(dict(self.sessions))
            if isinstance(request, Multi):
                self.multis.append(self.zxid)
        return OrderedAnswer(code, value, self.zxid, self.position)

    def skip(self) -> None:
        """A zxid that nothing happened at."""
        self.zxid += 1
        self.states.append(dict(self.tree))
        self.alive.append(dict(self.sessions))

    def _do(self, session: int, inbox: str, request: Any, happens: bool) -> Any:
        if isinstance(request, Open):
            return self._open(request)
        if isinstance(request, Attach):
            return self._attach(request)
        if isinstance(request, Expire):
            if not happens or request.session not in self.sessions:
                return False
            self._end(request.session, True)
            return True
        if isinstance(request, StopTicking):
            if happens:
                self._changed = True
                self.rests.append(self.zxid + 1)
            return None
        if isinstance(request, Reap):
            if not happens or request.path not in self.tree:
                return False
            node = self.tree[request.path]
            past = node.births > 0 if node.ttl_ms == -1 else request.at_ms - node.mtime > node.ttl_ms > 0
            if node.children or not past:
                self.early.append("%s at zxid %d" % (request.path, self.zxid + 1))
            self._delete_subtree(request.path)
            return True
        live = self.sessions.get(session)
        if live is None:
            raise Refusal(Error.SESSION_EXPIRED)
        if live.inbox != inbox:
            raise Refusal(Error.SESSION_MOVED)
        if isinstance(request, Close):
            return self._end(session, False)
        if isinstance(request, WatchSubtrees):
            self._changed, self.subtrees = not self.subtrees, True
            return None
        if isinstance(request, Auth):
            return self._auth(session, live, request)
        if isinstance(request, Multi):
            return self._multi(session, live, request)
        return self._op(session, live, request)

    # --- sessions -------------------------------------------------------------------------------

    def _open(self, request: Open) -> Any:
        number = (self.namespace_id << 40) + self.zxid + 1
        identities = () if request.address is None else (("ip", request.address),)
        timeout = min(max(request.timeout_ms, 1000), 3_600_000)
        self.sessions[number] = Live(request.password_hash, timeout, request.inbox, identities)
        self._changed = True
        return number, timeout, identities

    def _attach(self, request: Attach) -> Any:
        live = self.sessions.get(request.session)
        if live is None or live.digest != hashlib.sha256(request.password).digest():
            raise Refusal(Error.SESSION_EXPIRED)
        identities = () if request.address is None else (("ip", request.address),)
        self.sessions[request.session] = live._replace(inbox=request.inbox, identities=identities)
        self._changed = True
        return request.session, live.timeout_ms, identities

    def _auth(self, session: int, live: Live, request: Auth) -> Any:
        user = request.credential.split(":")[0]
        digest = base64.b64encode(hashlib.sha1(request.credential.encode()).digest()).decode()  # noqa: S324
        identity = ("digest", "%s:%s" % (user, digest))
        if identity not in live.identities:
            self.sessions[session] = live._replace(identities=(*live.identities, identity))
            self._changed = True
        return (identity,)

    def _end(self, session: int, expired: bool) -> None:
        for path in sorted(path for path, node in self.tree.items() if node.owner == session):
            self._delete_subtree(path)
        del self.sessions[session]
        self._changed = True
        self.ends[session] = self.zxid + 1, expired

    # --- the tree -------------------------------------------------------------------------------

    def _multi(self, session: int, live: Live, request: Multi) -> Any:
        before, values = dict(self.tree), []
        for number, op in enumerate(request.ops):
            try:
                values.append((Error.OK, self._op(session, live, op)))
            except Refusal as refusal:
                self.tree, self._changed, self._news = before, False, []
                after = [(Error.RUNTIME_INCONSISTENCY, None)] * (len(request.ops) - number - 1)
                failed = [(Error.OK, None)] * number + [(refusal.args[0], None), *after]
                return tuple((code, None, self.zxid) for code, _ in failed)
        zxid = self.zxid + self._changed
        return tuple((code, value, zxid) for code, value in values)

    def _op(self, session: int, live: Live, op: Any) -> Any:
        if isinstance(op, Create):
            return self._create(session, live, op)
        if isinstance(op, Delete):
            return self._delete(live, op)
        if isinstance(op, SetAcl):
            acl = self._acl(op.acl, live)
            node = self._node(op.path)
            self._may(node, ADMIN, live)
            self._version(node.aversion, op.version)
            return self._put(op.path, node._replace(acl=acl, aversion=node.aversion + 1)).stat()
        node = self._node(op.path)
        self._may(node, READ if isinstance(op, Check) else WRITE, live)
        self._version(node.version, op.version)
        if isinstance(op, Check):
            return None
        assert isinstance(op, SetData)
        self._news.append((self.zxid + 1, op.path, CHANGED, node.acl))
        new = node._replace(data=op.data, version=node.version + 1, mzxid=self.zxid + 1, mtime=self.now_ms)
        return self._put(op.path, new).stat()

    def _create(self, session: int, live: Live, op: Create) -> Any:
        acl = self._acl(op.acl, live)
        above = op.path.rpartition("/")[0] or "/"
        parent = self._node(above)
        self._may(parent, CREATE, live)
        path = op.path + ("%010d" % parent.births if op.flags in (2, 3, 6) else "")
        if path in self.tree:
            raise Refusal(Error.NODE_EXISTS)
        if parent.owner:
            raise Refusal(Error.NO_CHILDREN_FOR_EPHEMERALS)
        owner = session if op.flags in (1, 3) else 0
        ttl_ms = -1 if op.flags == 4 else op.ttl_ms if op.flags in (5, 6) else 0
        z, now = self.zxid + 1, self.now_ms
        made = self._put(path, Znode(z, z, z, now, now, 0, 0, owner, op.data, acl, 0, (), 0, ttl_ms))
        names = (*parent.children, path.rpartition("/")[2])
        self._put(above, parent._replace(births=parent.births + 1, pzxid=z, children=names))
        self._news += [(z, path, CREATED, acl), (z, above, CHILD, parent.acl)]
        return (path, made.stat()) if op.with_stat else path

    def _delete(self, live: Live, op: Delete) -> None:
        if op.path in KEPT:
            raise Refusal(Error.BAD_ARGUMENTS)
        self._may(self._node(op.path.rpartition("/")[0] or "/"), DELETE, live)
        node = self._node(op.path)
        self._version(node.version, op.version)
        if node.children:
            raise Refusal(Error.NOT_EMPTY)
        self._delete_subtree(op.path)

    def _delete_subtree(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        node = self.tree.pop(path)
        parent = self.tree[above or "/"]
        names = tuple(each for each in parent.children if each != name)
        self._put(above or "/", parent._replace(children=names, pzxid=self.zxid + 1))
        z = self.zxid + 1
        self._news += [(z, path, DELETED, node.acl), (z, above or "/", CHILD, parent.acl)]

    def _put(self, path: str, node: Znode) -> Znode:
        self.tree[path] = node
        self._changed = True
        return node

    def _node(self, path: str) -> Znode:
        if path not in self.tree:
            raise Refusal(Error.NO_NODE)
        return self.tree[path]

    @staticmethod
    def _version(actual: int, wanted: int) -> None:
        if wanted not in (-1, actual):
            raise Refusal(Error.BAD_VERSION)

    @staticmethod
    def _acl(wanted: Any, live: Live) -> Tuple[Acl, ...]:
        found: List[Acl] = []
        for perms, scheme, name in wanted:
            if scheme == "auth":
                found += [Acl(perms, *identity) for identity in live.identities if identity[0] == "digest"]
            else:
                found.append(Acl(perms, scheme, name))
        if not found:
            raise Refusal(Error.INVALID_ACL)
        return tuple(found)

    @staticmethod
    def _may(node: Znode, perm: int, live: Live) -> None:
        if not permitted(node.acl, perm, live.identities):
            raise Refusal(Error.NO_AUTH)


def permitted(acl: Tuple[Acl, ...], perms: int, identities: Any) -> bool:
    """Whether the identities have one of the permissions."""
    who = {("world", "anyone"), *map(tuple, identities)}
    return any(entry[0] & perms and (entry[1], entry[2]) in who for entry in acl)
