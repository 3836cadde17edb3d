"""Locks, semaphores, elections: grants come in the order of their fences; those that exclude each other don't overlap.

The fence of a grant is the czxid of the node that it rests on. A grant begins when the recipe says so and ends when its
holder lets go, or is told that the connection is gone (SUSPENDED) or the session is (LOST): who goes on after that has
not read kazoo's documentation. One holder meets a fault while it holds.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, List, Optional, Tuple

from kazoo.exceptions import CancelledError, KazooException
from kazoo.protocol.states import KazooState

from .faulty_clients import PATIENCE_S, Clients, Fault, Worker, eventually

TURNS = 2
HOLD_S = 0.005
CONTENDERS = 3


class Grant:
    """That somebody had it: from when to when, and by which fence."""

    def __init__(self, who: str, kind: str, fence: int) -> None:
        self.who, self.kind, self.fence = who, kind, fence
        self.began = time.monotonic()
        self.ended: Optional[float] = None

    def end(self) -> None:
        """Once is enough."""
        if self.ended is None:
            self.ended = time.monotonic()

    def __repr__(self) -> str:
        return "%s %s fence %d: %.3f to %s" % (self.who, self.kind, self.fence, self.began, self.ended)


Recipe = Callable[[Any, str, str], Any]
"""A new lock of this client at this path, of this kind."""
Fence = Callable[[Any, Any], Optional[int]]
"""Of a client that has been granted something, and what granted it."""


class Contender(Worker):
    """Takes it and lets go, again and again."""

    def __init__(self, clients: Clients, kind: str, recipe: Recipe, fence: Fence, can_fail: bool) -> None:
        super().__init__()
        self.client = clients.add(can_fail)
        self.grants: List[Grant] = []
        self.failure: Optional[BaseException] = None
        self.may_go_on, self.enough = threading.Event(), threading.Event()
        self.may_go_on.set()
        self._clients, self._kind, self._recipe, self._fence = clients, kind, recipe, fence
        self.client.add_listener(self._on_state)

    @property
    def holding(self) -> bool:
        """Whether it has it now."""
        return bool(self.grants) and self.grants[-1].ended is None

    def _on_state(self, state: str) -> None:
        if state != KazooState.CONNECTED and self.grants:
            self.grants[-1].end()

    def run(self) -> None:
        """Until it is enough."""
        while not self.enough.is_set():
            try:
                self._turn()
            except (KazooException, CancelledError):
                continue  # by the fault
            except BaseException as error:
                self.failure = error
                return

    def _turn(self) -> None:
        lock = self._recipe(self.client, self._clients.path + "/lock", self._kind)

        def hold() -> None:
            session = self.client.client_id
            fence = self._fence(self.client, lock)
            if fence is None or session != self.client.client_id:
                return  # the fault came before it could use it
            grant = Grant(self.client.name, self._kind, fence)
            self.grants.append(grant)
            if self.client.state != KazooState.CONNECTED or session != self.client.client_id:
                grant.end()
            time.sleep(HOLD_S)
            self.may_go_on.wait(PATIENCE_S)
            grant.end()

        if hasattr(lock, "run"):
            lock.run(hold)
            return
        if lock.acquire(timeout=PATIENCE_S):
            try:
                hold()
            finally:
                lock.release()


def fence_of_lock(client: Any, lock: Any) -> Optional[int]:
    """Of a Lock, a ReadLock, a WriteLock, or the Lock of an Election."""
    lock = getattr(lock, "lock", lock)
    stat = client.exists("%s/%s" % (lock.path, lock.node))
    return None if stat is None else int(stat.czxid)


def fence_of_semaphore(client: Any, semaphore: Any) -> Optional[int]:
    """Of the lease that it has."""
    stat = client.exists(semaphore.create_path)
    return None if stat is None else int(stat.czxid)


def check(
    clients: Clients,
    fault: Fault,
    recipe: Recipe,
    kinds: Tuple[str, ...],
    limit: int = 1,
    fence: Fence = fence_of_lock,
) -> None:
    """Several take turns, a holder meets a fault, the others and it (if it survives) go on. Every grant is judged."""
    count = max(CONTENDERS, len(kinds))
    contenders = [Contender(clients, kinds[i % len(kinds)], recipe, fence, can_fail=i == 0) for i in range(count)]
    for contender in contenders:
        contender.start()
    try:
        _inject_at_a_holder(clients, fault, contenders)
    finally:
        for contender in contenders:
            contender.enough.set()
            contender.may_go_on.set()
    for contender in contenders:
        contender.join(PATIENCE_S)
        assert not contender.is_alive(), "%s hangs" % contender.client.name
    judge([grant for contender in contenders for grant in contender.grants], fault, limit)


def _inject_at_a_holder(clients: Clients, fault: Fault, contenders: List[Contender]) -> None:
    """The first of them, after all have had it; those who are left have it again."""
    _all_have(contenders, TURNS, contenders)
    victim = contenders[0]
    victim.may_go_on.clear()
    eventually(lambda: victim.holding, "the victim holds it")
    fault.inject(clients, victim.client)
    victim.may_go_on.set()
    _all_have(contenders if fault.survives else contenders[1:], TURNS, contenders)
    if not fault.survives:
        victim.client.stop()


def _all_have(some: List[Contender], turns: int, everybody: List[Contender]) -> None:
    """Each of some has had so many more turns."""
    before = {contender: len(contender.grants) for contender in some}

    def done() -> bool:
        for contender in everybody:
            if contender.failure is not None:
                raise contender.failure
        return all(len(contender.grants) >= before[contender] + turns for contender in some)

    eventually(
        done, "everybody has it %d times more: %s" % (turns, [(p.client.name, p.grants[-3:]) for p in everybody])
    )


def judge(grants: List[Grant], fault: Fault, limit: int) -> None:
    """Exclusion, of writers by everybody and of ``limit`` by each other."""
    fences = [grant.fence for grant in grants]
    assert len(fences) == len(set(fences)), "one fence for two grants"
    grants = sorted(grants, key=lambda grant: grant.began)
    exclusive = [grant for grant in grants if grant.kind != "read"]
    if limit == 1:
        ordered = [grant.fence for grant in exclusive]
        assert ordered == sorted(ordered), "an older fence after a newer one: %s" % exclusive
    if not fault.is_real:
        return
    for grant in exclusive:
        rivals = [g for g in (grants if limit == 1 else exclusive) if g is not grant and _covers(g, grant.began)]
        assert len(rivals) < limit, "held at once: %s and %s" % (grant, rivals)
    for reader in (grant for grant in grants if grant.kind == "read"):
        writers = [g for g in exclusive if _covers(g, reader.began)]
        assert not writers, "held at once: %s and %s" % (reader, writers)


def _covers(grant: Grant, moment: float) -> bool:
    return grant.began <= moment and (grant.ended is None or moment < grant.ended)


# --- the recipes ------------------------------------------------------------------------------------


def lock(clients: Clients, fault: Fault) -> None:
    """Lock: one holder."""
    check(clients, fault, lambda client, path, _: client.Lock(path, client.name), ("write",))


def read_write_lock(clients: Clients, fault: Fault) -> None:
    """ReadLock, WriteLock: readers together, a writer alone."""

    def recipe(client: Any, path: str, kind: str) -> Any:
        return client.WriteLock(path) if kind == "write" else client.ReadLock(path)

    check(clients, fault, recipe, ("write", "read", "write", "read"))


def semaphore(clients: Clients, fault: Fault) -> None:
    """Semaphore: two of them."""
    check(
        clients, fault, lambda client, path, _: client.Semaphore(path, max_leases=2), ("lease",), 2, fence_of_semaphore
    )


def election(clients: Clients, fault: Fault) -> None:
    """Election: one leader."""
    check(clients, fault, lambda client, path, _: client.Election(path, client.name), ("write",))
