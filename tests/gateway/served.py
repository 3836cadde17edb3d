"""A gateway in a thread of its own, and a client that sends whatever it is told to."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import threading
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from fk_backend.providers import memory
from fk_kazoo import jute
from fk_kazoo.gateway.server import Server
from fk_kazoo.gateway.settings import Settings

PATIENCE_S = 20.0
_names = itertools.count()


class Place:
    """One event loop in a thread, with one deployment and any number of gateways in front of it."""

    def __init__(self, through: Callable[[Any], Any] = lambda gateway: gateway) -> None:
        self.name = "gateway-%d" % next(_names)
        self._through = through
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._gates: List[Server] = []
        self.deployment: Any = None

    def __enter__(self) -> "Place":
        self._thread.start()
        self.deployment = self._through(self.run(memory.connect(self.name, {})))
        return self

    def __exit__(self, *_: object) -> None:
        for gate in self._gates:
            self.run(gate.drain())
        self.run(memory.forget(self.name))
        self.call(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def run(self, coroutine: Any) -> Any:
        """What a coroutine returns that runs in the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Has the loop call it."""
        self._loop.call_soon_threadsafe(function, *args)

    def gate(self, **settings: Any) -> Server:
        """One more gateway; its ``port`` is where it listens."""
        settings.setdefault("max_connections", 0)
        gate = Server(self.deployment, Settings("memory://" + self.name, "default", port=0, drain_s=3.0, **settings))
        self.run(gate.start())
        self._gates.append(gate)
        return gate


class Reply(NamedTuple):
    """A frame from the gateway."""

    xid: int
    zxid: int
    code: int
    body: bytes


class Raw:
    """A client of its own: each method is one step on the wire. EOFError where the gateway hung up."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S, (source, 0))
        self.socket.settimeout(PATIENCE_S)
        self._xids = itertools.count(1)

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, payload: bytes) -> None:
        """One frame."""
        self.socket.sendall(jute.framed(payload))

    def receive(self) -> bytes:
        """The next frame."""
        return self.exactly(int.from_bytes(self.exactly(4), "big"))

    def drain(self) -> None:
        """Whatever comes, until the gateway hangs up."""
        try:
            while True:
                self.receive()
        except EOFError:
            pass

    def exactly(self, count: int) -> bytes:
        """So many bytes."""
        parts = b""
        while len(parts) < count:
            try:
                part = self.socket.recv(count - len(parts))
            except ConnectionError as error:
                raise EOFError from error
            if not part:
                raise EOFError
            parts += part
        return parts

    def connect(
        self, timeout_ms: int = 10_000, session: int = 0, password: bytes = bytes(16), read_only: bool = False
    ) -> Tuple[int, int, bytes, bool]:
        """(timeout_ms, session, password, read-only) of the answer."""
        self.send(struct.pack(">iqiq", 0, 0, timeout_ms, session) + jute.buffer(password) + bytes([read_only]))
        answer = self.receive()
        _, granted_ms, number = struct.unpack_from(">iiq", answer)
        return granted_ms, number, answer[20:36], answer[36] == 1

    def ask(self, opcode: int, body: bytes = b"", xid: Optional[int] = None) -> int:
        """Sends a request; its xid."""
        number = next(self._xids) if xid is None else xid
        self.send(struct.pack(">ii", number, opcode) + body)
        return number

    def reply(self) -> Reply:
        """The next reply or event."""
        frame = self.receive()
        return Reply(*struct.unpack_from(">iqi", frame), frame[16:])

    def call(self, opcode: int, body: bytes = b"") -> Reply:
        """A request and its reply, where no event comes before it."""
        xid = self.ask(opcode, body)
        reply = self.reply()
        assert reply.xid == xid
        return reply

    def ended(self) -> bool:
        """Whether the gateway hung up, and said nothing more."""
        try:
            return not self.exactly(1)
        except EOFError:
            return True


OPEN_ACL = struct.pack(">ii", 1, 31) + jute.string("world") + jute.string("anyone")


def create(path: str, data: bytes = b"", flags: int = 0) -> bytes:
    """The body of a create."""
    return jute.string(path) + jute.buffer(data) + OPEN_ACL + struct.pack(">i", flags)


def read(path: str, watch: bool = False) -> bytes:
    """The body of a read."""
    return jute.string(path) + bytes([watch])


def number(value: int) -> bytes:
    """An int."""
    return struct.pack(">i", value)
