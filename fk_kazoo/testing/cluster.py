"""Three access points of one deployment stand in for the three servers of kazoo's test cluster.

A fault is real: whoever is connected through an access point that stops is cut off from the deployment, and while
fewer than two of the three run, as with servers that have no quorum, what is left takes no writes.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, cast
from weakref import WeakSet

from kazoo.handlers.threading import SequentialThreadingHandler

from fk_backend.core.requests import Attach, Auth, Open
from fk_backend.errors import Unavailable
from fk_backend.messages import decode
from fk_backend.ports import Gateway, Key
from fk_backend.testing.faults import FaultyGateway

from .. import loop_thread

SIZE = 3
FIRST_PORT = 20000
PORT_STRIDE = 10
"""As kazoo's own cluster has them."""
PATIENCE_S = 10.0
BYTES_PER_S = 100e6 / 8
"""Of the wire between a client and its server: Fast Ethernet."""
SOCKET_BUFFER = 65536
"""What is no larger is gone at once."""
delay_s = 0.0
"""How long every message takes on the way, whatever its size."""

MENDED, HALTED, CUT = "mended", "halted", "cut"
MESSAGE, ANSWER = "message", "answer"
INITIAL_REQUESTS = (Open, Attach, Auth)
"""What a connection begins with: no app asked for it just then."""


def in_loop(what: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """Has the clients' event loop call it, and waits for what it returns; a coroutine is run."""

    async def call() -> Any:
        made = what()
        return await made if asyncio.iscoroutine(made) else made

    return loop_thread.run(SequentialThreadingHandler(), call, within_s)


class AccessPoint:
    """A place in the network that connections go through, and where it can fail for all of them."""

    def __init__(self, state: str = MENDED) -> None:
        self._state = state
        self._through: "WeakSet[FaultyGateway]" = WeakSet()

    def through(self, gateway: Gateway) -> FaultyGateway:
        """The gateway as it is beyond this place. In the loop's thread."""
        faulty = FaultyGateway(gateway)
        _put(faulty, self._state)
        self._through.add(faulty)
        return faulty

    def become(self, state: str) -> None:
        """Fails, or stops failing, for what goes through and what will. In the loop's thread."""
        if state != self._state:
            self._state = state
            for faulty in list(self._through):
                _put(faulty, state)


class ClientLink(AccessPoint):
    """The last stretch, which one client has for itself. What it can lose besides: beats, messages, answers."""

    def __init__(self) -> None:
        super().__init__()
        self.loses_beats = False
        self._cuts = 0
        self.delay_s = 0.0
        """How long every message takes here."""
        self.fails_next: Optional[str] = None
        """Whether the next message is lost, or what is answered to it: `MESSAGE` or `ANSWER`."""

    def cut(self) -> None:
        """Nothing gets through, and whoever is there is told. In the loop's thread."""
        self._cuts += 1
        self.become(CUT)

    def mend(self) -> None:
        """Everything gets through again, once it was mended as often as it was cut. In the loop's thread."""
        self._cuts = max(0, self._cuts - 1)
        if not self._cuts:
            self.become(MENDED)

    def heal(self) -> None:
        """Everything gets through again. In the loop's thread."""
        self._cuts = 0
        self.become(MENDED)

    @property
    def is_cut(self) -> bool:
        """Whether nothing gets through."""
        return self._cuts > 0

    def pause(self, is_paused: bool) -> None:
        """The client's process stands still: nothing that is sent to it arrives, or goes on. In the loop's thread."""
        self.loses_beats = is_paused
        for faulty in list(self._through):
            (faulty.hold if is_paused else faulty.release)()

    def through(self, gateway: Gateway) -> FaultyGateway:
        """As `AccessPoint.through`."""
        faulty = super().through(gateway)
        faulty.store = BeatDroppingStore(self, faulty.store)
        faulty.queue = cast(FaultyGateway, Wire(self, faulty.queue))
        faulty.may_write_directly = lambda: not (delay_s or self.delay_s or self.fails_next or self.loses_beats)
        return faulty

    def disconnect_all(self) -> None:
        """Whoever goes through is cut off, and may come again at once. In the loop's thread."""
        self.cut()
        self.mend()


class BeatDroppingStore:
    """A store that beats may not reach."""

    def __init__(self, client_link: ClientLink, store: Any) -> None:
        self._client_link = client_link
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def increment(self, key: Key, by: int = 1) -> int:
        """`ports.Store.increment`, which counts beats."""
        return 0 if self._client_link.loses_beats else int(await self._store.increment(key, by))


class Wire:
    """A queue at the end of a wire on which a large message takes its time, as it does on the way to any server.

    kazoo's test_connection_dropped sends a megabyte and drops the connection while it is on its way.
    """

    def __init__(self, client_link: ClientLink, queue: FaultyGateway) -> None:
        self._client_link = client_link
        self._queue = queue

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`ports.Queue.send`."""
        takes = delay_s + self._client_link.delay_s + (len(body) / BYTES_PER_S if len(body) > SOCKET_BUFFER else 0)
        if takes:
            await asyncio.sleep(takes)
        lost: Optional[str] = None
        if self._client_link.fails_next and not isinstance(decode(body).requests[0], INITIAL_REQUESTS):
            lost, self._client_link.fails_next = self._client_link.fails_next, None
        if lost == MESSAGE:
            return self._client_link.disconnect_all()
        if lost == ANSWER:  # not before there is one: a connection that came sooner would fence what is in the queue
            self._queue.lose_answers(self._client_link.disconnect_all)
        await self._queue.send(group, message_id, body)


def _put(faulty: FaultyGateway, state: str) -> None:
    faulty.mend()
    if state == HALTED:
        faulty.halt()
    elif state == CUT:
        faulty.cut()


class Server:
    """What kazoo's tests take for a server: an access point."""

    host = "127.0.0.1"

    def __init__(self, cluster: "Cluster", port: int) -> None:
        self._cluster = cluster
        self.client_port = port
        self.secure_client_port = port + 4
        self.running = False
        self.access_point = AccessPoint(CUT)

    @property
    def address(self) -> str:
        """Where clients connect."""
        return "%s:%d" % (self.host, self.client_port)

    @property
    def secure_address(self) -> str:
        """Where clients would connect with TLS: nothing answers there."""
        return "%s:%d" % (self.host, self.secure_client_port)

    def run(self) -> None:
        """Lets clients through again."""
        self._set_running(True)

    def stop(self) -> None:
        """Cuts off who is connected, and lets nobody through."""
        self._set_running(False)

    start = run
    destroy = terminate = reset = stop

    def _set_running(self, running: bool) -> None:
        if running != self.running:
            self.running = running
            self._cluster.apply_faults()

    def get_logs(self, num_lines: int = 100) -> List[str]:
        """Nothing: an access point writes no log."""
        return []


class Cluster:
    """What kazoo's tests take for a cluster: the deployment."""

    def __init__(self) -> None:
        self._servers = [Server(self, FIRST_PORT + PORT_STRIDE * i) for i in range(SIZE)]
        self._by_address: Dict[Tuple[str, int], Server] = {(s.host, s.client_port): s for s in self._servers}

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers)

    def __getitem__(self, index: int) -> Server:
        return self._servers[index]

    def start(self) -> None:
        """Lets clients through at every access point."""
        for server in self:
            server.run()

    def stop(self) -> None:
        """Cuts off everybody. What is in the deployment stays in it."""
        for server in self:
            server.stop()

    terminate = reset = stop

    def apply_faults(self) -> None:
        """Cuts, halts or mends each access point, by which servers run."""
        in_loop(self._apply_faults)

    def _apply_faults(self) -> None:
        quorum = 2 * sum(server.running for server in self) > SIZE
        for server in self:
            server.access_point.become(CUT if not server.running else MENDED if quorum else HALTED)

    def at(self, host: str, port: int) -> AccessPoint:
        """The access point of that address. Unavailable if nothing answers there."""
        server: Optional[Server] = self._by_address.get((host, port))
        if server is None:
            raise Unavailable("nothing answers at %s:%d" % (host, port))
        return server.access_point

    def get_logs(self) -> List[str]:
        """Nothing."""
        return []

    def get_ssl_client_configuration(self) -> Dict[str, bytes]:
        """There is no TLS; what asks for it is not applicable and does not run."""
        raise RuntimeError("a deployment has no TLS certificates")


CLUSTER = Cluster()


def get_global_cluster() -> Cluster:
    """In place of kazoo's."""
    return CLUSTER
