"""What recipes have in common."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Awaitable, Callable, List, Optional, Type, TypeVar

from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.states import ZnodeStat
from kazoo.retry import RetryFailedError

from ...fenced_recipe import FencedRecipe, Lost
from .. import retrying
from ..held_nodes import TaskHeldNode
from ..wakeup import Wakeup
from ..watches import Armed, Watcher

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..operations import Operations

T = TypeVar("T")
FOR_EVER = retrying.FOR_EVER


class Recipe:
    """One recipe at one path."""

    def __init__(self, client: Operations, path: str) -> None:
        self.client = client
        self.path = path
        self._ensured = False

    async def _ensure_path(self) -> None:
        if not self._ensured:
            await self.client.ensure_path(self.path)
            self._ensured = True

    def _unwatch(self, mode: str, path: str, watcher: Watcher) -> None:
        """Takes a watch back, in one step."""
        self.client._watches.forget(Armed(mode, _prefix_root(self.client.chroot, path)), watcher)

    async def _retry(self, call: Callable[[], Awaitable[T]]) -> T:
        return await retrying.retry(self.client._command_retry, call)


class Held(Recipe):
    """One that is had as ``async with``."""

    async def acquire(self) -> object:
        """Takes it."""
        raise NotImplementedError

    async def release(self) -> object:
        """Gives it back."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        await self.release()


class Contended(FencedRecipe, Held):
    """One that others may have: whoever asks for it contends, and may wait."""

    client: Operations
    kind = ""
    """What it is called where it is not had in time."""
    _among = "task"

    def __init__(self, client: Operations, path: str, lost: Lost) -> None:
        super().__init__(client, path)
        self.is_acquired = False
        self.cancelled = False
        self._on_loss = Lost(lost)
        self._wakeup = Wakeup()
        self._is_taken = False
        self._waiting: List[Wakeup] = []

    async def __aenter__(self) -> Self:
        await self.acquire()
        self._enter_body()
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        if not self._body_ended(kind):
            await self.release()

    def _give_up(self) -> None:
        self._let_go()

    def _got(self, path: str, stat: ZnodeStat) -> None:
        """It has it, by this node."""
        self._set_held_node(TaskHeldNode(self.client, self.path, path, stat))

    def cancel(self) -> None:
        """Ends a pending `acquire`, which raises kazoo's CancelledError: of who contends, or whose turn is next."""
        self.cancelled = True
        if self.is_acquired and self._waiting:
            self._waiting[0].wake()
        else:
            self._wakeup.wake()

    async def release(self) -> bool:
        """Gives it back; whether it was held. It is given back, however its task is cancelled."""
        if not self.is_acquired:
            return False
        gone = self._let_go()
        if gone is not None:
            await asyncio.shield(gone)
        return True

    async def _take_turn(self, limit: Limit) -> None:
        """Of the tasks that share this object, in the order in which they came."""
        if not self._is_taken:
            self._is_taken = True
            return
        wakeup = Wakeup()
        self._waiting.append(wakeup)
        try:
            if not await wakeup.wait(limit.left()):
                raise self._timed_out()
            if wakeup in self._waiting:  # it is not its turn: `cancel` woke it
                self.cancelled = False
                raise CancelledError()
        except BaseException:
            if wakeup in self._waiting:
                self._waiting.remove(wakeup)
            else:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        self._is_taken = bool(self._waiting)
        if self._waiting:
            self._waiting.pop(0).wake()

    def _forget_what_is_over(self) -> None:
        """So that it can be had anew where it ended with its session, by whichever task."""
        if self._held_node is not None and self._held_node.gone and self.is_acquired:
            self._let_go()

    async def _contended(self, contend: Callable[[], Awaitable[bool]], timeout: Optional[float]) -> bool:
        """Whether it was acquired by contending, over lost connections; nothing is left if not. LockTimeout."""
        gotten = False
        try:
            gotten = await retrying.retry(FOR_EVER, contend, timeout)
            self.is_acquired = gotten
        except RetryFailedError:
            raise self._timed_out() from None
        finally:
            if not gotten:
                self._let_go()
        return gotten

    def _timed_out(self) -> LockTimeout:
        return LockTimeout("Failed to acquire %s on %s in time" % (self.kind, self.path))

    def _let_go(self) -> "Optional[asyncio.Future[None]]":
        """Gives back what there is, in one step. Done when the node is gone."""
        raise NotImplementedError


class Limit:
    """How long may still be waited."""

    def __init__(self, seconds: Optional[float]) -> None:
        self._time = asyncio.get_running_loop().time
        self._until = None if seconds is None else self._time() + seconds

    def left(self) -> Optional[float]:
        """In seconds; None: for ever."""
        return None if self._until is None else max(0.0, self._until - self._time())
