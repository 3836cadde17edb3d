"""Nodes that tasks hold, as `fk_kazoo.held_nodes` has them for threads: the fence is known, and nothing waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kazoo.exceptions import NoNodeError
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.serialization import GetData
from kazoo.protocol.states import ZnodeStat

from fk_backend.core.watches import DATA

from ..held_nodes import HeldNode

if TYPE_CHECKING:
    from .operations import Operations


class TaskHeldNode(HeldNode):
    """A node whose ZnodeStat came with it. `lost` is an asyncio.Event. The watch of `lost` goes with the node."""

    def __init__(self, client: Operations, recipe_path: str, path: str, stat: ZnodeStat) -> None:
        super().__init__(client, recipe_path, path, stat.ephemeralOwner, bool(stat.ephemeralOwner))
        self._fence = stat.czxid

    def _event(self) -> Any:
        return asyncio.Event()

    @staticmethod
    def _caller() -> Any:
        return asyncio.current_task()

    def watch(self) -> None:
        """As `HeldNode.watch`. It is asked for at once; an answer that it is gone sets `lost`."""
        if not (self._watched or self.ended or self.may_be_gone()):
            self._check_again()

    def _check_again(self) -> None:
        self._watched = True
        full = _prefix_root(self.client.chroot, self.path)
        try:  # at a missing node this leaves no watch behind
            asked = self.client._send(GetData(full, self._on_event), self._on_event, DATA)
        except Exception as error:
            self._watched = False
            self.lose("its node %s could not be looked at: %r" % (self.path, error))
        else:
            asked.add_done_callback(self._asked)

    def _asked(self, asked: "asyncio.Future[Any]") -> None:
        error = asked.exception()
        if error is None or isinstance(error, NoNodeError):
            self._on_stat(None if error else asked.result()[1])
        else:
            self._watched = False
            self.lose("its node %s could not be looked at: %r" % (self.path, error))

    def forked(self) -> None:
        """As `HeldNode.forked`. No loop of the parent's runs here."""
        self.why = self.why or "this is a forked process"
        self.lost._value = True
        self.gone = True
