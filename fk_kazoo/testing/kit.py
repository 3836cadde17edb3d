"""The test kit: a deployment of a test's own, clients, their faults, and a check that nothing is left running.

The fixtures of `fk_kazoo.pytest_plugin` are its parts; it can be used without pytest as well:

    with Kit() as kit:
        client = kit.client()
        with kit.faults.partition(client):
            ...
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import traceback
import uuid
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple, Type, cast

from kazoo.exceptions import KazooException
from kazoo.protocol.states import KazooState

from fk_backend.ports import Gateway
from fk_backend.providers import memory

from .. import client as shipped
from .. import loop_thread
from ..channel import Channel
from ..connection import DeploymentConnection
from ..held_nodes import uninterrupted
from ..url import DeploymentUrl, parse
from . import aio_faults, cluster, faults
from .aio_faults import AsyncFaults
from .clock import DrivenClock
from .cluster import ANSWER, MESSAGE, PATIENCE_S, ClientLink

STOP_S = 20.0
CHUNK_S = 300.0
"""So much time goes by at once: the event loop has an answer in between."""
in_loop = partial(cluster.in_loop, within_s=STOP_S)
HERE = str(Path(__file__).resolve().parents[1])
_log = logging.getLogger(__name__)


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
        self.faults = Faults(self)
        """What can go wrong."""

    def __enter__(self) -> "Kit":
        _watch(self)
        try:
            if self._given is None:
                in_loop(lambda: memory.make(self._name, self._clock))
            else:
                with self._janitor() as janitor:
                    janitor.ensure_path(parse(self.url).chroot)
        except BaseException:
            _unwatch(self)
            raise
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], *_: object) -> None:
        """Ends it. `Leak` if clients that others made are still running; they are stopped."""
        try:
            self.faults.end()
            for client in self._ours:
                _stop(client)
            made = self._made()
            left = [(client, where) for client, where in made if _runs(client)]
            for client, _where in left:
                _stop(client)
            self._remove([client for client, _where in made])
        finally:
            _unwatch(self)
        if left:
            message = "left running: " + "; ".join("a client made at %s" % where for _, where in left)
            if kind is None:
                raise Leak(message)
            _log.warning(message)  # what the test failed with comes first

    def _made(self) -> List[Tuple[Any, str]]:
        """Clients of this place, by whomever, and where they were made."""
        return [(client, where) for client, where in _noted if _is_in(client.deployment, parse(self.url))]

    def _remove(self, clients: Sequence[Any]) -> None:
        """With the credentials of the clients: nodes may be theirs alone."""
        if self._given is None:
            in_loop(lambda: memory.forget(self._name))
            return
        with self._janitor() as janitor:
            for scheme, credential in {auth for client in clients for auth in client.auth_data}:
                janitor.add_auth(scheme, credential)
            janitor.delete(parse(self.url).chroot, recursive=True)

    @contextmanager
    def _janitor(self) -> Iterator[Any]:
        """A client at the root of the deployment's tree."""
        client = shipped.KazooClient(str(replace(parse(self.url), chroot="")))
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
        """Has so much of the deployment's time go by, of which an hour takes seconds.

        ValueError: its time is not ours, or that is no number of seconds.
        """
        if self._given is not None:
            raise ValueError("the time of %s can't be driven; use a deployment of the kit's own" % self._given)
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError("time goes by forwards, and ends: %r" % (seconds,))
        while seconds > 0:
            part = min(seconds, CHUNK_S)
            in_loop(partial(self._clock.advance, part))
            seconds -= part


class Faults:
    """Faults, made for real; each ends by itself, at the end of the test at the latest.

    They happen to clients that were made while a kit is there, by whomever. ValueError for one that was not started.
    `delay`, `fail_next` and `crash_writer` are for clients of `fk_kazoo.aio`, too; what waits is in `aio`.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.aio = AsyncFaults()
        """`expire`, `disconnect`, `partition` and `suspend` for clients of `fk_kazoo.aio`, as coroutines."""

    def expire(self, client: Any) -> None:
        """The deployment expires the client's session. Its listeners are told LOST, then CONNECTED: with a new session.

        Its ephemeral nodes are gone, and its watches, as kazoo has it. One that is cut off is told when it is not.
        """
        _threaded_client_link(client)
        if client.connected:
            with uninterrupted():  # by a lock in whose body the test does this
                faults.expire_now(client, client.handler.event_object)
        else:
            faults.expire_cut_off(client, _session(client))

    def disconnect(self, client: Any) -> None:
        """Its connection breaks, and it may connect again at once: SUSPENDED, then CONNECTED, with the same session.

        One that is cut off already has none that could break.
        """
        if _threaded_client_link(client).is_cut:
            return
        with uninterrupted():
            faults.lose_now(client, client.handler.event_object)

    @contextmanager
    def partition(self, *clients: Any) -> Iterator[None]:
        """The clients can't reach the deployment: SUSPENDED. Calls under way raise ConnectionLoss, later ones wait.

        When it ends they are connected again: CONNECTED, or LOST before, if their sessions ended meanwhile.
        """
        cables = [_threaded_client_link(client) for client in clients]
        for client_link in cables:
            in_loop(client_link.cut)
        try:
            for client in clients:
                _await_listeners(client, False)
            yield
        finally:
            for client_link in cables:
                in_loop(client_link.mend)
            for client, client_link in zip(clients, cables):
                if not client_link.is_cut:  # else another partition goes on
                    _await_listeners(client, True)

    @contextmanager
    def delay(self, client: Any, seconds: float) -> Iterator[None]:
        """Each of its messages takes so long on its way to the deployment. Reads take no message."""
        client_link = _client_link(client)
        client_link.delay_s += seconds
        try:
            yield
        finally:
            client_link.delay_s = max(0.0, client_link.delay_s - seconds)

    def fail_next(self, client: Any, done: bool = False) -> None:
        """Its next write raises ConnectionLoss; ``done``: after it was done, so that only the answer is lost.

        Then SUSPENDED, CONNECTED. An app can't tell which of the two it was.
        """
        _client_link(client).fails_next = ANSWER if done else MESSAGE

    def crash_writer(self) -> None:
        """The function that writes ends in the middle of whatever it does, and another one goes on. Nobody is told."""
        if self._kit._given is not None:
            raise ValueError("the writer of %s is not in this process" % self._kit._given)
        in_loop(lambda: memory.deployment(self._kit._name).replace_writer())

    @contextmanager
    def suspend(self, client: Any) -> Iterator[None]:
        """Its process stands still (a long garbage collection, a paused machine) until its session has expired.

        Meanwhile the client believes that it is connected, and what it holds is given to others. When it goes on:
        LOST, then CONNECTED. Nothing may be asked of it meanwhile: it stands still. ValueError where the functions are
        in another process, as on `local://` with another host.
        """
        client_link, session = _threaded_client_link(client), _session(client)
        in_loop(lambda: client_link.pause(True))
        expired = False
        try:
            faults.expire_cut_off(client, session)
            expired = True
            yield
        finally:
            in_loop(lambda: client_link.pause(False))
            if expired and not client_link.is_cut:
                _await(client, lambda: bool(client._session_id != session))
                _await_listeners(client, True)

    def end(self) -> None:
        """Whatever was done to clients ends. After each test, also where tests share their clients."""
        for client, _where in self._kit._made():
            client_link = _link_of(client)
            if client_link is not None:
                client_link.delay_s, client_link.fails_next = 0.0, None
                (aio_faults.in_its_loop if aio_faults.is_of_asyncio(client) else _in_loop)(client, client_link.heal)


def _below(url: str, chroot: str) -> DeploymentUrl:
    place = parse(url)
    return replace(place, chroot=place.chroot + chroot)


def _is_in(place: DeploymentUrl, whole: DeploymentUrl) -> bool:
    same = replace(place, chroot="") == replace(whole, chroot="")
    return same and (place.chroot + "/").startswith(whole.chroot + "/")


def _session(client: Any) -> int:
    session = client._session_id
    if not session:
        raise ValueError("the client has no session: it was not started, or it was stopped")
    return int(session)


def _await(client: Any, condition: Callable[[], bool]) -> None:
    """Until that is so, or the app has stopped the client."""
    waited = 0.0
    while client._connection.running and not condition():
        if waited > faults.EXPIRY_S:
            raise AssertionError("the client did not notice: it is %s" % client.state)
        client.handler.sleep_func(0.005)
        waited += 0.005


def _await_listeners(client: Any, connected: bool) -> None:
    """Until it is connected, or not, and all of its listeners were told so."""

    def has_heard() -> bool:
        last = vars(client).get("_kit_last_state")
        return bool(client.connected) is connected and (last == KazooState.CONNECTED) is connected

    _await(client, has_heard)


def _in_loop(_client: Any, what: Callable[[], None]) -> None:
    in_loop(what)


def _runs(client: Any) -> bool:
    return not client._stopped if aio_faults.is_of_asyncio(client) else bool(client._connection.running)


def _stop_in_its_loop(client: Any) -> None:
    """Where the loop runs, and not in this thread: else nobody can, and its session ends by its timeout."""
    running = client._loop.is_running() and client._loop is not asyncio._get_running_loop()
    if running:
        asyncio.run_coroutine_threadsafe(client.stop(), client._loop).result(STOP_S)


def _stop(client: Any) -> None:
    if aio_faults.is_of_asyncio(client):
        return _stop_in_its_loop(client)
    try:
        client.stop()
    except KazooException:
        pass
    client.close()


class Route:
    """An opening, seen through a cable. Stands in for a `loop_thread.Opening`."""

    def __init__(self, opening: loop_thread.Opening, client_link: Any) -> None:
        self._opening = opening
        self._client_link = client_link

    async def gateway(self) -> Gateway:
        """The gateway at the end of the cable."""
        return cast(Gateway, self._client_link.through(await self._opening.gateway()))


def _link_of(client: Any) -> Optional[ClientLink]:
    """The client's cable, of either kind; None if it never connected here."""
    if aio_faults.is_of_asyncio(client):
        return aio_faults.link_of(client)
    return cast("Optional[ClientLink]", getattr(client._connection, "client_link", None))


def _client_link(client: Any) -> ClientLink:
    client_link = _link_of(client)
    if client_link is None:
        raise ValueError("the client was started before the kit was there, or not at all")
    return client_link


def _threaded_client_link(client: Any) -> ClientLink:
    if aio_faults.is_of_asyncio(client):
        raise TypeError("this is a client for asyncio: await the method of that name in `faults.aio`")
    return _client_link(client)


# --- what is watched while there are kits -----------------------------------------------------------

_kits: List[Kit] = []
_noted: List[Tuple[Any, str]] = []
"""Clients that were made meanwhile, and where."""
_replaced: List[Tuple[Any, str, Any]] = []
"""What was there before: of which class, under which name."""


def _watch(kit: Kit) -> None:
    _kits.append(kit)
    if len(_kits) == 1:
        _replace(DeploymentConnection, "_dial", _dial)
        _replace(shipped.KazooClient, "__init__", _noting(shipped.KazooClient.__init__))
        _replace(shipped.KazooClient, "_make_state_change", _recording_states())
        of_asyncio = sys.modules.get("fk_kazoo.aio.client")
        if of_asyncio is not None:  # who uses it has imported it
            _replace(of_asyncio.KazooClient, "__init__", _noting(of_asyncio.KazooClient.__init__))
            life = sys.modules["fk_kazoo.aio.session"].Life
            _replace(life, "_gateway", aio_faults.through_links(life._gateway))


def _replace(owner: Any, name: str, by: Any) -> None:
    _replaced.append((owner, name, vars(owner)[name]))
    setattr(owner, name, by)


def _unwatch(kit: Kit) -> None:
    _kits.remove(kit)
    if not _kits:
        while _replaced:
            setattr(*_replaced.pop())
        _noted.clear()


def _dial(connection: Any, host: str, port: int) -> Channel:
    """As `DeploymentConnection._dial`, by a way that can fail."""
    if connection._opening is None:
        connection._opening = connection._acquire()
    if not hasattr(connection, "client_link"):
        connection.client_link = ClientLink()
    route = Route(connection._opening, connection.client_link)
    return Channel(cast(loop_thread.Opening, route), connection.client.deployment.namespace)


def _noting(initialise: Callable[..., None]) -> Callable[..., None]:
    """KazooClient's ``__init__``, that writes down where the client was made."""

    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        initialise(self, *args, **kwargs)
        callers = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(HERE)]
        made = next((frame for frame in reversed(callers) if frame.name != "__init__"), callers[-1])
        _noted.append((self, "%s:%d" % (made.filename, made.lineno or 0)))

    return noting


def _recording_states() -> Callable[..., None]:
    """KazooClient's ``_make_state_change``, that writes down which state all listeners were told last."""
    change = shipped.KazooClient._make_state_change

    def telling(self: Any, state: Any, *args: Any, **kwargs: Any) -> None:
        change(self, state, *args, **kwargs)
        vars(self)["_kit_last_state"] = state

    return telling
