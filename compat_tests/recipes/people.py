"""Clients that faults can strike, and the faults. All but the cable to the deployment is shipped code."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from types import SimpleNamespace
from typing import Any, Callable, List, Optional, cast

from kazoo.protocol.states import KazooState

from fk_backend.ports import Gateway
from fk_kazoo import client as shipped
from fk_kazoo import loop
from fk_kazoo.connection import ConnectionHandler, Line
from fk_kazoo.testing import faults
from fk_kazoo.testing.cluster import CUT, MENDED, Cable, in_loop

TIMEOUT_S = 2.0
"""Of the sessions: what a fault costs."""
PATIENCE_S = 40.0


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """The condition's value as soon as it is true. AssertionError when the time is up."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not within %s s: %s" % (PATIENCE_S, what)
        time.sleep(0.005)


class Worker:
    """Somebody who does something meanwhile, in a thread."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """What it does."""
        raise NotImplementedError

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Waits for its end."""
        self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Whether it is still at it."""
        return self._thread.is_alive()


class _Wired(ConnectionHandler):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cable = Cable()

    def _dial(self, host: str, port: int) -> Line:
        if self._opening is None:
            self._opening = self._acquire()
        opening, cable = self._opening, self.cable

        async def gateway() -> Gateway:
            return cable.through(await opening.gateway())

        route = cast(loop.Opening, SimpleNamespace(gateway=gateway))
        return Line(route, self.client.deployment.namespace)


class Client(shipped.KazooClient):
    """The shipped client at the end of a cable of its own."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout=TIMEOUT_S)
        self._connection = _Wired(self, self._conn_retry.copy(), logger=self.logger)

    def cut(self) -> None:
        """Nothing goes between it and the deployment."""
        in_loop(lambda: self._connection.cable.become(CUT))

    def mend(self) -> None:
        """Everything does again."""
        in_loop(lambda: self._connection.cable.become(MENDED))

    def expire(self) -> None:
        """The deployment expires its session; when this returns, it has another one."""
        faults.expire_session(SimpleNamespace(client=self), threading.Event)


class Town:
    """A part of a deployment, the clients in it, and one that no fault strikes."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """``make``: makes a client, not started yet."""
        self._make = make
        self._names = itertools.count()
        self._all: List[Any] = []
        self.path = "/recipes/%s" % uuid.uuid4().hex
        self.judge = self.settle()
        self.judge.ensure_path(self.path + "/alive")

    def settle(self) -> Any:
        """One more client. ``client.name`` is its name; its ephemeral is there as long as its session is."""
        client = self._make()
        self._all.append(client)
        client.start(PATIENCE_S)
        client.name = "c%d" % next(self._names)
        return client

    def mark(self, client: Any) -> str:
        """An ephemeral of the client's session."""
        path: str = client.create(self.path + "/alive/" + client.name + "-", ephemeral=True, sequence=True)
        return path

    def close(self) -> None:
        """Everybody leaves, and nothing stays."""
        for client in self._all:
            client.mend()
        self.judge.retry(self.judge.delete, self.path, recursive=True)
        for client in self._all:
            client.stop()
            client.close()


class Fault:
    """Something that befalls a client. When `strike` returns, its session is over; `survives`: it has another one."""

    survives = True
    is_real = True
    """Whether the client can know in time that it may lose what it holds: SUSPENDED comes before the expiry."""

    def strike(self, town: Town, client: Any) -> None:
        """Makes it happen."""
        raise NotImplementedError


class Expiry(Fault):
    """The deployment expires the session while its client is well: no client can foresee it, only fences help."""

    is_real = False

    def strike(self, town: Town, client: Any) -> None:
        client.expire()


class Partition(Fault):
    """The client is cut off until its session has expired, and then finds its way back."""

    def strike(self, town: Town, client: Any) -> None:
        marker, back = town.mark(client), threading.Event()

        def listen(state: str) -> Optional[bool]:
            if state == KazooState.LOST:
                lost.set()
            elif state == KazooState.CONNECTED and lost.is_set():
                back.set()
                return True
            return None

        lost = threading.Event()
        client.add_listener(listen)
        client.cut()
        eventually(lambda: town.judge.exists(marker) is None, "the session that is cut off expires")
        client.mend()
        assert back.wait(PATIENCE_S), "who was cut off comes back"


class Crash(Fault):
    """The client is gone, as if its process or its machine had stopped."""

    survives = False

    def strike(self, town: Town, client: Any) -> None:
        marker = town.mark(client)
        client.cut()
        eventually(lambda: town.judge.exists(marker) is None, "the session of who crashed expires")


FAULTS = {"expiry": Expiry(), "partition": Partition(), "crash": Crash()}
