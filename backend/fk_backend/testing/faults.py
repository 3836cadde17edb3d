"""Real faults, made on purpose: a client cut off from its deployment, functions that can't be reached, an expiry.

They happen at the edge (`ports.Gateway`), so everything behind and before it is the shipped code. Used by the
compatibility suite and by tests; never by the product.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from .. import layout
from ..core.requests import Expire
from ..errors import Unavailable
from ..functions.heartbeat import SENDER
from ..messages import PING, Answers, Message, decode_note, encode, message_id
from ..ports import Direct, Gateway


class FaultyGateway:
    """A gateway between which and the deployment the network can fail.

    ``cut``: nothing gets through, and whoever listens is told at once, as a broken TCP connection tells. ``halted``:
    reads get through, writes don't.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lost: Dict[str, Callable[[str], None]] = {}
        self.address: Optional[str] = gateway.address
        self.blobs = gateway.blobs
        self.may_write_directly: Callable[[], bool] = lambda: True
        """Whether nothing is to happen to messages, so that a write need not be one."""
        self.clock = gateway.clock
        self.store: Any = _Store(self, gateway.store)
        self.queue = self
        self.is_cut = False
        self.is_halted = False
        self._held: Optional[List[Callable[[], None]]] = None
        """What comes, while its receiver is paused."""
        self._instead: Optional[Callable[[], None]] = None
        """What happens when the next answers come, which are lost."""

    @property
    def direct(self) -> Optional[Direct]:
        """What writes in the caller's thread, while all is well; what waits for anybody goes where it can fail."""
        direct, is_well = self._gateway.direct, not (self.is_cut or self.is_halted or self._held is not None)
        return direct if is_well and direct is not None and direct.never_waits and self.may_write_directly() else None

    def cut(self) -> None:
        """Cuts it off. In the loop's thread."""
        self.is_cut = True
        self._tell("cut off")

    def halt(self) -> None:
        """Writes don't get through any more. In the loop's thread."""
        self.is_halted = True
        self._tell("the functions can't be reached")

    def mend(self) -> None:
        """Everything gets through again."""
        self.is_cut = self.is_halted = False

    def hold(self) -> None:
        """What comes waits from now on, as for a process that is paused. In the loop's thread."""
        self._held = [] if self._held is None else self._held

    def release(self) -> None:
        """What waits comes, in its order. In the loop's thread."""
        held, self._held = self._held or [], None
        for come in held:
            come()

    def lose_answers(self, instead: Callable[[], None]) -> None:
        """The next answers are lost: this is called when they come, and what they answer is done by then."""
        self._instead = instead

    def _come(self, what: Callable[[], None]) -> None:
        if self._held is None:
            what()
        else:
            self._held.append(what)

    def _tell(self, why: str) -> None:
        ears, self._lost = self._lost, {}
        for lost in ears.values():
            lost(why)

    def guard(self) -> None:
        """Unavailable while it is cut."""
        if self.is_cut:
            raise Unavailable("cut off")

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        await self.check()
        await self._gateway.queue.send(group, message_id, body)

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """`ports.Gateway.inbox`."""
        return self._gateway.inbox(ns, key, nonce)

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """`ports.Gateway.listen`."""
        self.guard()
        self._lost[inbox] = lost

        def hear(body: bytes) -> None:
            if self.is_cut:
                return
            if self._instead is not None and body != PING and isinstance(decode_note(body), Answers):
                instead, self._instead = self._instead, None
                instead()
            else:
                self._come(lambda: receive(body))

        await self._gateway.listen(inbox, hear, lambda why: self._come(lambda: lost(why)))

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""
        self._lost.pop(inbox, None)
        await self._gateway.unsubscribe(inbox, keep)

    async def check(self) -> None:
        """`ports.Gateway.check`."""
        self.guard()
        if self.is_halted:
            raise Unavailable("the functions can't be reached")
        await self._gateway.check()

    async def close(self) -> None:
        """`ports.Gateway.close`: the deployment itself belongs to somebody else."""


class _Store:
    """The store, as long as the gateway is not cut."""

    def __init__(self, gateway: FaultyGateway, store: Any) -> None:
        self._gateway = gateway
        self._store = store
        self.capabilities = store.capabilities

    def __getattr__(self, name: str) -> Any:
        self._gateway.guard()
        return getattr(self._store, name)


async def expire(gateway: Gateway, ns: str, session: int) -> None:
    """Has the functions expire a session now, as if its client had been silent for its whole timeout."""
    items: List[Any] = await gateway.store.get([layout.beat_key(ns, session)])
    inbox = "%s:test-%s" % (SENDER, gateway.clock.random_bytes(8).hex())
    beats = 0 if items[0] is None else items[0].rev
    await gateway.queue.send(ns, message_id(inbox, 1), encode(Message(inbox, 0, 1, (Expire(session, beats),))))
