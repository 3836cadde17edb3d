"""Clients with faults. All but the link to the deployment is shipped code.

A client without faults has a long timeout, so that a busy machine is no fault. On ``aws://`` the link is cut where HTTP
requests are sent, so that what is shipped has to notice it by itself.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Callable, List, Optional, cast

from kazoo.protocol.states import KazooState

from fk_backend.ports import Gateway
from fk_kazoo import client as shipped
from fk_kazoo import loop_thread
from fk_kazoo.connection import Channel, ConnectionHandler
from fk_kazoo.testing import faults
from fk_kazoo.testing.cluster import CUT, MENDED, ClientLink, in_loop

from .aws_link import AwsLink

TIMEOUT_S = 2.0
"""Of the sessions that meet a fault: how long a fault takes."""
UNHARMED_TIMEOUT_S = 40.0
"""Of the others."""
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


class _CuttableHandler(ConnectionHandler):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.client_link = ClientLink()
        self._name = uuid.uuid4().hex
        self.aws_link: Optional[AwsLink] = None
        if self.client.can_fail and self.client.deployment.scheme == "aws":
            self.aws_link = AwsLink()

    def _acquire(self) -> loop_thread.Opening:
        """With a wire, connections of its own: those of others don't go through it."""
        if self.aws_link is None:
            return super()._acquire()
        url = self.client.deployment
        own = replace(url, options=(*url.options, ("connections_of", self._name)))

        async def acquire() -> loop_thread.Opening:
            return loop_thread.current().acquire(own)

        opening: loop_thread.Opening = loop_thread.run(self.handler, acquire, PATIENCE_S)
        return opening

    def _dial(self, host: str, port: int) -> Channel:
        if self._opening is None:
            self._opening = self._acquire()
        opening, client_link, aws_link = self._opening, self.client_link, self.aws_link

        async def gateway() -> Gateway:
            reached = await opening.gateway()
            if aws_link is not None:
                aws_link.carry_all_of(reached)
            return client_link.through(reached)

        route = cast(loop_thread.Opening, SimpleNamespace(gateway=gateway))
        return Channel(route, self.client.deployment.namespace)


class Client(shipped.KazooClient):
    """The shipped client, whose link to the deployment can be cut."""

    def __init__(self, url: str, can_fail: bool = False) -> None:
        super().__init__(url, timeout=TIMEOUT_S if can_fail else UNHARMED_TIMEOUT_S)
        self.can_fail = can_fail
        self._connection = _CuttableHandler(self, self._conn_retry.copy(), logger=self.logger)

    def cut(self) -> None:
        """Nothing goes between it and the deployment."""
        self._become(CUT)

    def mend(self) -> None:
        """Everything does again."""
        self._become(MENDED)

    def _become(self, state: str) -> None:
        connection = self._connection
        in_loop(lambda: (connection.aws_link or connection.client_link).become(state))

    def expire(self) -> None:
        """The deployment expires its session; when this returns, it has another one."""
        faults.expire_now(self, threading.Event)


class Clients:
    """The clients of one check, below one path, and an observer that meets no fault."""

    def __init__(self, make: Callable[[bool], Any]) -> None:
        """``make``: makes a client, not started yet; its argument says whether it can meet a fault."""
        self._make = make
        self._names = itertools.count()
        self._all: List[Any] = []
        self.path = "/recipes/%s" % uuid.uuid4().hex
        self.observer = self.add()
        self.observer.ensure_path(self.path + "/alive")

    def add(self, can_fail: bool = False) -> Any:
        """One more client; ``client.name`` is its name."""
        client = self._make(can_fail)
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
        for client in self._all[1:]:  # whatever one of them is still at, it makes nothing more
            client.stop()
            client.close()
        self.observer.retry(self.observer.delete, self.path, recursive=True)
        self.observer.stop()
        self.observer.close()


class Fault:
    """Something that befalls a client. When `inject` returns, its session is over; `survives`: it has another one."""

    survives = True
    is_real = True
    """Whether the client can know in time that it may lose what it holds: SUSPENDED comes before the expiry."""

    def inject(self, clients: Clients, client: Any) -> None:
        """Makes it happen."""
        raise NotImplementedError


class Expiry(Fault):
    """The deployment expires the session while its client is well: no client can foresee it, only fences help."""

    is_real = False

    def inject(self, clients: Clients, client: Any) -> None:
        client.expire()


class Partition(Fault):
    """The client is cut off until its session has expired, and then finds its way back."""

    def inject(self, clients: Clients, client: Any) -> None:
        marker, back = clients.mark(client), threading.Event()

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
        eventually(lambda: clients.observer.exists(marker) is None, "the session that is cut off expires")
        client.mend()
        assert back.wait(PATIENCE_S), "who was cut off comes back"


class Crash(Fault):
    """The client is gone, as if its process or its machine had stopped."""

    survives = False

    def inject(self, clients: Clients, client: Any) -> None:
        marker = clients.mark(client)
        client.cut()
        eventually(lambda: clients.observer.exists(marker) is None, "the session of who crashed expires")


FAULTS = {"expiry": Expiry(), "partition": Partition(), "crash": Crash()}
