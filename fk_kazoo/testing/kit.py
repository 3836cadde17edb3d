"""What a test has: a deployment of its own, clients, faults that happen to them, and a look at what was left running.

The fixtures of `fk_kazoo.pytest_plugin` are its parts; it can be used without pytest as well:

    with Kit() as kit:
        client = kit.client()
        with kit.faults.partition(client):
            ...
"""

from __future__ import annotations

import traceback
import uuid
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Callable, Iterator, List, Optional, Tuple, cast
from unittest import mock

from kazoo.exceptions import KazooException
from kazoo.handlers.threading import SequentialThreadingHandler

from fk_backend.ports import Gateway
from fk_backend.providers import memory

from .. import client as shipped
from .. import loop
from ..connection import Seam
from ..line import Line
from ..url import DeploymentUrl, parse
from . import faults
from .clock import DrivenClock
from .cluster import PATIENCE_S, Cable

STOP_S = 20.0


class Leak(AssertionError):
    """A test left clients running."""


class Kit:
    """A deployment for a test. ``url``: where; None for one in memory that nobody else has, and that ends with it.

    Below the URL it makes a node of its own, which it deletes at the end; that is the chroot of `url`.
    """

    def __init__(self, url: Optional[str] = None) -> None:
        own = "zk-" + uuid.uuid4().hex[:12]
        self._given = url
        self._name = own
        self.url = "memory://" + own if url is None else str(_below(url, "/" + own))
        """What to give to ``KazooClient``."""
        self._clock = DrivenClock()
        self._ours: List[Any] = []
        self._made: List[Tuple[Any, str]] = []
        self._patches: List[Any] = []
        self.faults = Faults(self)
        """What can go wrong."""

    def __enter__(self) -> "Kit":
        self._patches = [
            mock.patch.object(Seam, "_dial", _dial),
            mock.patch.object(shipped.KazooClient, "__init__", _noting(self._made)),
        ]
        for patch in self._patches:
            patch.start()
        if self._given is None:
            in_loop(lambda: memory.make(self._name, self._clock))
        else:
            with self._janitor() as janitor:
                janitor.ensure_path(parse(self.url).chroot)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it. `Leak` if clients that others made are still running; they are stopped."""
        try:
            for client, _where in self._made:
                self.faults.heal(client)
            for client in self._ours:
                _stop(client)
            left = [(client, where) for client, where in self._made if client._connection.running]
            for client, _where in left:
                _stop(client)
            self._remove()
        finally:
            for patch in reversed(self._patches):
                patch.stop()
        if left:
            raise Leak("left running: " + "; ".join("a client made at %s" % where for _, where in left))

    def _remove(self) -> None:
        if self._given is None:
            in_loop(lambda: memory.forget(self._name))
            return
        with self._janitor() as janitor:
            janitor.delete(parse(self.url).chroot, recursive=True)

    @contextmanager
    def _janitor(self) -> Iterator[Any]:
        """A client at the root of the deployment's tree."""
        place = parse(self.url)
        client = shipped.KazooClient(str(replace(place, chroot="")))
        self._ours.append(client)
        client.start(STOP_S)
        try:
            yield client
        finally:
            _stop(client)

    def client(self, **options: Any) -> Any:
        """A started `KazooClient` with these options, which is stopped when the test is over."""
        made = shipped.KazooClient(self.url, **options)
        self._ours.append(made)
        made.start(PATIENCE_S)
        made.ensure_path("/")
        return made

    def advance(self, seconds: float) -> None:
        """Has so much of the deployment's time go by. ValueError where its time is not ours."""
        if self._given is not None:
            raise ValueError("the time of %s can't be driven; use a deployment of the kit's own" % self._given)
        in_loop(lambda: self._clock.advance(seconds))


class Faults:
    """Faults, made for real; each ends by itself, at the end of the test at the latest.

    They happen to clients that were made while the kit is there, by whomever.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def expire(self, client: Any) -> None:
        """The deployment expires the client's session. Its listeners are told LOST, then CONNECTED: with a new session.

        Its ephemeral nodes are gone, and its watches, as kazoo has it.
        """
        faults.expire_now(client, client.handler.event_object)

    def disconnect(self, client: Any) -> None:
        """Its connection breaks, and it may connect again at once: SUSPENDED, then CONNECTED, with the same session."""
        faults.lose_now(client, client.handler.event_object)

    @contextmanager
    def partition(self, *clients: Any) -> Iterator[None]:
        """The clients can't reach the deployment: SUSPENDED. Calls under way raise ConnectionLoss, later ones wait.

        When it ends they are connected again: CONNECTED, or LOST before, if their sessions ended meanwhile.
        """
        for client in clients:
            in_loop(_cable(client).cut)
        try:
            for client in clients:
                _await_connected(client, False)
            yield
        finally:
            for client in clients:
                self.heal(client)
            for client in clients:
                _await_connected(client, True)

    @contextmanager
    def delay(self, client: Any, seconds: float) -> Iterator[None]:
        """Each of its messages takes so long on its way to the deployment. Reads take no message."""
        cable = _cable(client)
        cable.delay_s = seconds
        try:
            yield
        finally:
            cable.delay_s = 0.0

    def fail_next(self, client: Any, done: bool = False) -> None:
        """Its next write raises ConnectionLoss; ``done``: after it was done, so that only the answer is lost.

        Then SUSPENDED, CONNECTED. An app can't tell which of the two it was.
        """
        _cable(client).fails_next = "answer" if done else "message"

    def crash_writer(self) -> None:
        """The function that writes ends in the middle of whatever it does, and another one goes on. Nobody is told."""
        if self._kit._given is not None:
            raise ValueError("the writer of %s is not in this process" % self._kit._given)
        in_loop(lambda: memory.deployment(self._kit._name).replace_writer())

    @contextmanager
    def suspend(self, client: Any) -> Iterator[None]:
        """Its process stands still (a long garbage collection, a paused machine) until its session has expired.

        Meanwhile the client believes that it is connected, and what it holds is given to others. When it goes on:
        LOST, then CONNECTED. Nothing may be asked of it meanwhile: it stands still.
        """
        cable, session = _cable(client), client.client_id[0]
        in_loop(lambda: cable.pause(True))
        try:
            faults.expire_unheard(client, session)
            yield
        finally:
            in_loop(lambda: cable.pause(False))
            _await(client, lambda: client.connected and client.client_id[0] != session)

    def heal(self, client: Any) -> None:
        """Whatever was done to the client's connection ends."""
        cable = getattr(client._connection, "cable", None)
        if cable is not None:
            cable.delay_s, cable.fails_next = 0.0, None
            in_loop(cable.mend)


def in_loop(what: Callable[[], Any]) -> Any:
    """Has the clients' event loop call it, and waits for it; a coroutine is run."""

    async def call() -> Any:
        made = what()
        return await made if hasattr(made, "__await__") else made

    return loop.run(SequentialThreadingHandler(), call, STOP_S)


def _below(url: str, chroot: str) -> DeploymentUrl:
    place = parse(url)
    return replace(place, chroot=place.chroot + chroot)


def _await(client: Any, condition: Callable[[], bool]) -> None:
    waited = 0.0
    while not condition():
        if waited > faults.EXPIRY_S:
            raise AssertionError("the client did not notice: it is %s" % client.state)
        client.handler.sleep_func(0.005)
        waited += 0.005


def _await_connected(client: Any, connected: bool) -> None:
    _await(client, lambda: bool(client.connected) is connected)


def _stop(client: Any) -> None:
    try:
        client.stop()
    except KazooException:
        pass
    client.close()


class _Route:
    """An opening, seen through a cable. Stands in for a `loop.Opening`."""

    def __init__(self, opening: loop.Opening, cable: Cable) -> None:
        self._opening = opening
        self._cable = cable

    async def gateway(self) -> Gateway:
        """The gateway at the end of the cable."""
        return self._cable.through(await self._opening.gateway())


def _dial(connection: Any, host: str, port: int) -> Line:
    """As `Seam._dial`, by a way that can fail."""
    if connection._opening is None:
        connection._opening = connection._acquire()
    if not hasattr(connection, "cable"):
        connection.cable = Cable()
    route = _Route(connection._opening, connection.cable)
    return Line(cast(loop.Opening, route), connection.client.deployment.namespace)


def _cable(client: Any) -> Cable:
    try:
        return cast(Cable, client._connection.cable)
    except AttributeError:
        raise ValueError("the client was started before the kit was there, or not at all") from None


def _noting(made: List[Tuple[Any, str]]) -> Callable[..., None]:
    """KazooClient's ``__init__``, that writes down where it was called."""
    initialise = shipped.KazooClient.__init__

    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        caller = traceback.extract_stack(limit=2)[0]
        initialise(self, *args, **kwargs)
        made.append((self, "%s:%d" % (caller.filename, caller.lineno or 0)))

    return noting
