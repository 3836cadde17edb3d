"""Mistakes in ZooKeeper's semantics: the pure core."""

from __future__ import annotations

import dataclasses
from typing import Any

from fk_backend.core import acls, apply, multi, overlay, owners, sessions, tree, watches
from fk_backend.core.errors import ZkError
from fk_backend.core.model import Error, EventType
from fk_backend.core.requests import Create, Delete
from fk_backend.core.stats import stat
from fk_backend.writer import step

from .bug import plant, swap

insert, remove, check_version, put_family = tree._insert, tree.remove, tree._check_version, overlay.View.put_family
rollback, take_zxid, find_trigger = overlay.View.rollback, overlay.View.take_zxid, overlay.View.trigger
attach, delete = sessions.attach, tree.delete


@plant("a sequential node's number is one too high", (tree, "_suffix"))
def sequence_off_by_one(creates: int) -> str:
    return "%010d" % (creates + 1)


@plant(
    "a sequential node's number is how many children there are, so it comes again", (tree, "_find_parent_for_create")
)
def sequence_counts_the_living(view: Any, path: str, session: Any) -> Any:
    above, family = tree._require(view, tree.paths.parent(path))
    acls.require(above.acl, 4, session.identities)
    return above, family._replace(creates=family.count)


@plant("versions are not compared", (tree, "_check_version"))
def versions_unchecked(actual: int, expected: int) -> int:
    return actual + 1


@plant("version -1 does not mean any version", (tree, "_check_version"))
def any_version_is_a_version(actual: int, expected: int) -> int:
    if expected != actual:
        raise ZkError(Error.BAD_VERSION)
    return actual + 1


@plant("a deletion does not move the parent's pzxid", (tree, "remove"), (sessions.tree, "remove"))
def deletion_without_pzxid(view: Any, path: str, node: Any) -> None:
    above = tree.paths.parent(path)
    before = view.find(above)
    remove(view, path, node)
    if before is not None:
        view.put_family(above, view.find(above)[1]._replace(pzxid=before[1].pzxid))


def _without(kind: int) -> Any:
    def trigger(self: Any, path: str, seen: int, acl: Any) -> None:
        if seen != kind:
            find_trigger(self, path, seen, acl)

    return trigger


swap("children's news forgotten", "no CHILD trigger", (overlay.View, "trigger", _without(EventType.CHILD)))
swap("deletions forgotten", "no DELETED trigger", (overlay.View, "trigger", _without(EventType.DELETED)))
swap("creations forgotten", "no CREATED trigger", (overlay.View, "trigger", _without(EventType.CREATED)))
swap("changes forgotten", "no CHANGED trigger", (overlay.View, "trigger", _without(EventType.CHANGED)))


@plant("a change is told as a creation", (overlay.View, "trigger"))
def wrong_kind(self: Any, path: str, kind: int, acl: Any) -> None:
    find_trigger(self, path, EventType.CREATED if kind == EventType.CHANGED else kind, acl)


@plant("what a failed multi had changed stays", (overlay.View, "rollback"))
def no_rollback(self: Any, mark: Any) -> None:
    del self.triggers[mark.triggers :]


@plant("what a failed multi had to tell is told", (overlay.View, "rollback"))
def triggers_not_rolled_back(self: Any, mark: Any) -> None:
    kept = list(self.triggers)
    rollback(self, mark)
    self.triggers[:] = kept


@plant("a change takes two zxids", (overlay.View, "take_zxid"))
def zxid_skipped(self: Any, mark: Any) -> None:
    if self.changed_since(mark):
        self.zxid += 2


@plant("a change takes no zxid of its own", (overlay.View, "take_zxid"))
def zxid_shared(self: Any, mark: Any) -> None:
    if self.changed_since(mark) and self.zxid == self.snapshot.zxid:
        self.zxid += 1


@plant("an expiry does not look at the beats", (sessions, "expire"), (apply._OF_NONE, sessions.Expire))  # type: ignore[arg-type]
def expiry_ignores_beats(view: Any, request: Any) -> bool:
    session = view.session(request.session)
    if session is None:
        return False
    sessions._end(view, session, expired=True)
    return True


@plant("a session's end leaves its ephemerals", (sessions, "_remove_ephemerals"))
def ephemerals_leak(view: Any, session: int) -> None:
    view.ephemerals(session)


@plant("a session's end takes only its first ephemeral", (sessions, "_remove_ephemerals"))
def only_the_first_ephemeral(view: Any, session: int) -> None:
    for path in view.ephemerals(session)[:1]:
        found = view.find(path)
        view.find(tree.paths.parent(path))
        if found is not None:
            tree.remove(view, path, found[0])


class _Agreeable:
    @staticmethod
    def compare_digest(given: bytes, known: bytes) -> bool:
        return True


swap("any password", "a session is given to whoever asks for it", (sessions, "hmac", _Agreeable))


@plant("a connection that lost its session may go on writing for it", (apply, "_caller"))
def no_fence(view: Any, call: Any) -> Any:
    session = view.session(call.session)
    if session is None:
        raise ZkError(Error.SESSION_EXPIRED)
    return session


@plant("a session that has ended is asked for by its old number, and answered", (apply, "_caller"))
def the_dead_may_write(view: Any, call: Any) -> Any:
    session = view.session(call.session)
    return session or sessions.Session(call.session, b"", 1000, (), call.inbox)


swap("no ACLs", "nobody's permission is checked", (acls, "require", lambda acl, perm, identities: None))
swap("ephemerals have children", "a parent may be an ephemeral", (tree.owners, "is_ephemeral", lambda owner: False))


def _births(node: Any, family: Any) -> Any:
    return stat(node, family)._replace(cversion=family.creates)


swap("cversion counts creates only", "deletes are not in cversion", (tree, "stat", _births))
swap("children of the dead", "a node with children may be deleted",
     (multi.OPERATIONS, Delete, lambda view, session, op: _deleted(view, op)),  # type: ignore[list-item]
     (apply._OF_A_SESSION, Delete, lambda view, session, op: _deleted(view, op)))  # type: ignore[list-item]  # fmt: skip


def _deleted(view: Any, op: Any) -> None:
    found = view.find(op.path)
    if found is None:
        raise ZkError(Error.NO_NODE)
    tree._check_version(found[0].version, op.version)
    tree.remove(view, op.path, found[0])


def _created_twice(view: Any, session: Any, op: Any) -> Any:
    """Overwrites what is there."""
    try:
        return tree.create(view, session, op)
    except ZkError as error:
        if error.code != Error.NODE_EXISTS:
            raise
        return op.path


swap("create is idempotent", "NODE_EXISTS is not said", (apply._OF_A_SESSION, Create, _created_twice))  # type: ignore[list-item]


@plant("containers and TTL nodes go before they are due", (sessions, "_is_due"))
def reaped_early(view: Any, node: Any, family: Any) -> bool:
    return True


swap(
    "watches of a subtree see its root only",
    "what is below is forgotten",
    (watches, "is_below", lambda path, above: False),
)
swap("data watches don't see deletions", "the table lacks an entry",
     (watches._KINDS, watches.DATA, frozenset((EventType.CREATED, EventType.CHANGED))))  # fmt: skip
swap("child watches see data", "the table has an entry too many",
     (watches._KINDS, watches.CHILD, frozenset((EventType.CHILD, EventType.DELETED, EventType.CHANGED))))  # fmt: skip
swap(
    "sequential means ephemeral", "a sequential node goes with its session", (owners, "EPHEMERAL", frozenset((1, 2, 3)))
)


@plant("who may know of a change is told by the ACL after it", (step, "apply"))
def judged_afterwards(snapshot: Any, calls: Any, now_ms: int) -> Any:
    outcome = apply.apply(snapshot, calls, now_ms)
    nodes = {**snapshot.nodes, **{path: node and (node,) for path, node in outcome.changes.nodes.items()}}
    last = []
    for trigger in outcome.triggers:
        found = nodes.get(trigger.path)
        last.append(trigger._replace(readers=acls.readers(found[0].acl)) if found else trigger)
    return dataclasses.replace(outcome, triggers=last)


@plant("a change of a list is judged by the child's ACL", (overlay.View, "trigger"))
def lists_judged_by_the_child(self: Any, path: str, kind: int, acl: Any) -> None:
    find_trigger(self, path, kind, acl)
    if kind == EventType.CHILD:
        self.triggers[-1] = self.triggers[-1]._replace(readers=self.triggers[-2].readers)
