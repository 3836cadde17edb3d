"""A mixin for recipes that hold a node: `fence`, `lost`, and an error for who asks for what he has. For every client.

`locks` has what goes with threads and greenlets; ``aio.recipes`` with tasks. See docs/locks.md.
"""

from __future__ import annotations

import logging
from enum import Enum
from typing import Any, List, Optional, Tuple, Type

from . import logs
from .exceptions import LockLostError, ReentrantLockError
from .held_nodes import HeldNode, begin_body, end_body


class Lost(Enum):
    """What happens in the body of ``with zk.Lock(...)`` when the lock may be somebody else's."""

    TELL = "tell"
    """Nothing but that ``lock.lost`` is set. This is kazoo's way, and the default."""
    RAISE = "raise"
    """LockLostError at the body's next call of the client, or at its end."""


class FencedRecipe:
    """What a lock and a lease have in common."""

    client: Any
    path: str
    is_acquired: bool
    _on_loss = Lost.TELL
    _held_node: Optional[HeldNode] = None
    _entered_nodes: Tuple[HeldNode, ...] = ()
    """Those whose bodies run. More than one where one object is shared, and one of them was lost."""
    _among = "thread"
    """Who else could release it."""

    @property
    def fence(self) -> int:
        """The fencing token: greater than that of everybody who had the lock before. It is the node's czxid.

        The deployment is asked for it once (the client for asyncio has it already), and again after each `acquire`.
        LockLostError if the lock is not held, or may be somebody else's when it is asked. Give it to whatever the lock
        protects: docs/locks.md.
        """
        return self._require_held().fence()

    @property
    def lost(self) -> Any:
        """An event, as the handler or asyncio makes them, that is set as soon as the lock may be somebody else's.

        With SUSPENDED, LOST, the end of the client, and when somebody deletes the lock's node. It stays set, also if
        the session turns out to have survived; after the next `acquire` there is a new one. Not set by `release`.
        The deployment is asked once, at the first use. LockLostError if the lock was never held.
        """
        hold = self._held_node
        if hold is None:
            raise LockLostError("%s was never held" % self.path)
        try:
            hold.watch()
        except Exception as error:  # it can't be known, which is what the event is about
            hold.lose("it can't be looked at: %r" % error)
        return hold.lost

    def _require_held(self) -> HeldNode:
        if self._held_node is None or self._held_node.ended or not self.is_acquired:
            raise LockLostError("%s is not held" % self.path)
        return self._held_node

    def _set_held_node(self, hold: HeldNode) -> None:
        before, self._held_node = self._held_node, hold
        if before is not None:
            before.end()
        hold.kind = self._kind()

    def _kind(self) -> str:
        return ""

    def _own_held_nodes(self) -> List[HeldNode]:
        """What the caller holds at this path and would wait for."""
        holds = list(self.client._held_nodes)
        return [
            hold for hold in holds if hold.recipe_path == self.path and hold.is_the_callers() and not hold.may_be_gone()
        ]

    def _refuse_reentry(self, hold: HeldNode, certain: bool) -> None:
        """Whoever holds it asks for it again, and says nothing of giving up."""
        what = "%s is asked for by who has it already, since %s, and is not re-entrant: it waits for itself" % (
            self.path,
            hold.where,
        )
        if certain:
            raise ReentrantLockError(what)
        text = "is asked for by who has it already, since %s: unless another %s releases it, this waits for ever"
        logs.log_limited(self.client, logging.WARNING, text, self.path, hold.where, self._among)

    def _enter_body(self) -> None:
        """The body of a ``with`` begins."""
        hold = self._held_node
        if hold is None or not self.is_acquired:
            raise LockLostError("%s was not acquired" % self.path)
        hold.in_a_with = True
        self._entered_nodes = (*self._entered_nodes, hold)
        if self._on_loss is Lost.RAISE:
            try:
                hold.fence()
            except BaseException:
                self._entered_nodes = tuple(each for each in self._entered_nodes if each is not hold)
                self._give_up()
                raise
            begin_body(hold)

    def _leave_body(self) -> Optional[HeldNode]:
        """The hold whose body ends: the caller's, if several run."""
        mine = [hold for hold in self._entered_nodes if hold.is_the_callers()] or [*self._entered_nodes]
        if not mine:
            return self._held_node
        self._entered_nodes = tuple(each for each in self._entered_nodes if each is not mine[-1])
        return mine[-1]

    def _is_held_elsewhere(self, hold: HeldNode) -> bool:
        """Whether somebody else has this object now, or waits for it, as ``hold`` ended with its session."""
        now = self._held_node
        return hold.ended if now is hold or now is None else not now.is_the_callers()

    def _body_ended(self, kind: Optional[Type[BaseException]]) -> bool:
        """The body ended, perhaps with an exception. Whether it is left, as it may be somebody else's, or released.

        LockLostError if it is left, and nothing else was raised.
        """
        hold = self._leave_body()
        raises = self._on_loss is Lost.RAISE
        if hold is not None:
            hold.in_a_with = False
            end_body(hold)
        if hold is not None and hold.gone and self._is_held_elsewhere(hold):
            if raises and kind is None:
                raise LockLostError("%s was lost before the end: %s" % (self.path, hold.why))
            return True
        if hold is None or hold.ended or not (raises or kind is LockLostError) or not hold.may_be_gone():
            return False
        self._give_up()  # what waits for the connection would keep the exception back
        if kind is None:
            raise LockLostError("%s may be held by somebody else since before the end: %s" % (self.path, hold.why))
        return True

    def _give_up(self) -> None:
        """Gives back what there is, without waiting."""
        raise NotImplementedError
