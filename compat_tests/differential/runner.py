"""Runs a program, one step at a time, and writes down everything that each of its sessions was told, in order.

A program is a JSON list of steps ``[slot, [call, …]]``: the session in that slot makes the calls without waiting in
between (pipelined); then all are waited for. ``["end"]`` ends the session (the next step of the slot opens another
one), and ``["reconnect"]`` breaks its connection. What came in which order is taken from where kazoo hands it out.
"""

from __future__ import annotations

import itertools
import socket
import threading
from typing import Any, Callable, Dict, List

import kazoo.client
from kazoo.exceptions import NoNodeError, NotEmptyError
from kazoo.protocol.serialization import SetData, Watch
from kazoo.protocol.states import EVENT_TYPE_MAP, Callback, KazooState

from fk_backend.functions import heartbeat
from fk_kazoo.client import KazooClient

from .calls import CLEANER, PERSISTENT, RECURSIVE, in_any_order, start
from .transcript import Encoder, ranked

PATIENCE_S = 120.0
TIMEOUT_S = 120.0
"""Of the sessions: however busy the machine is, nobody is told SUSPENDED for it."""
SLOTS = 3
PLACES = 16
"""Made at a time: no more than every deployment takes in one transaction."""
Program = List[Any]
Transcript = Dict[str, Any]


def keep_containers() -> None:
    """From now on, the functions in this process look for empty containers only once: so does the ZooKeeper beside it.

    When they are looked for is no part of what is compared.
    """
    heartbeat.REAP_EVERY = 1 << 40


class Server:
    """Where programs can be run: a deployment, or a ZooKeeper. Each program gets a subtree of its own.

    They are made, and removed when their programs are over, several with one request: most of a run is waiting.
    """

    def __init__(self, make: Callable[[], Any], below: str = "/differential") -> None:
        self._make = make
        self._below = below
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._free: List[str] = []
        self._used: List[str] = []
        self._admin = make()
        self._admin.start(PATIENCE_S)
        self._admin.add_auth("digest", CLEANER)
        self._admin.ensure_path(below + "/fence")
        self.root: str = self._admin.chroot or ""
        self.fence = SetData(self.root + below + "/fence", b"", -1)

    @classmethod
    def deployment(cls, url: str) -> "Server":
        """The deployment of that URL."""
        return cls(lambda: KazooClient(url, timeout=TIMEOUT_S))

    @classmethod
    def zookeeper(cls, hosts: str, below: str = "/differential") -> "Server":
        """A ZooKeeper, with kazoo's own client."""
        return cls(lambda: kazoo.client.KazooClient(hosts, timeout=TIMEOUT_S), below)

    def connect(self) -> Any:
        """A client, not started."""
        return self._make()

    def run(self, program: Program) -> Transcript:
        """What the program saw."""
        run = Run(self, self._place())
        try:
            return run.through(program)
        finally:
            run.close()
            with self._lock:
                self._used += run.seen

    def _place(self) -> str:
        """An empty node for a program. Every so often, those that were used before are removed."""
        with self._lock:
            if not self._free:
                self._tidy()
                new = ["%s/p%d" % (self._below, next(self._numbers)) for _ in range(PLACES)]
                made = self._admin.transaction()
                for place in new:
                    made.create(place)
                for result in made.commit():
                    if isinstance(result, Exception):
                        raise result
                self._free = new
            return self._free.pop()

    def _tidy(self) -> None:
        """Children come after their parents in what was seen."""
        deleted = [(path, self._admin.delete_async(path)) for path in reversed(self._used)]
        self._used = []
        for path, result in deleted:
            try:
                result.get(timeout=PATIENCE_S)
            except NoNodeError:
                pass  # it went with its session
            except NotEmptyError:
                self._admin.delete(path, recursive=True)

    def close(self) -> None:
        """Removes what is left, and lets go."""
        self._tidy()
        self._admin.delete(self._below, recursive=True)
        self._admin.stop()
        self._admin.close()


class ProgramSession:
    """One session, and what it was told: ``told`` has ``["reply", call, value]`` and ``["event", kind, path]``."""

    def __init__(self, client: Any, chroot: str, encode: Encoder, name: str) -> None:
        self.name = name
        self.client = client
        self._encode = encode
        self._asked: List[List[Any]] = []
        self._values: List[Any] = []
        self._wire: List[Any] = []
        self._states: List[str] = []
        self._calls: Dict[str, List[Any]] = {}
        self._back = client.handler.event_object()
        self._is_ending = False
        self.watchers = {label: self._watcher(label) for label in ("a", "b")}
        self.watchers.update({mode: lambda event: None for mode in (PERSISTENT, RECURSIVE)})
        self._tap()
        client.add_listener(self._on_state)
        self._chroot = chroot
        client.start_async()

    def wait(self) -> None:
        """Until it has its session, and every listener was told."""
        self._back.wait(PATIENCE_S)
        assert self._back.is_set(), "%s got no session" % self.name
        self.client.chroot = self._chroot
        self._wire.clear()
        self._encode.sessions[self.client.client_id[0]] = self.name

    def _tap(self) -> None:
        """Writes down what kazoo's connection is handed, in the order in which it is."""
        connection = self.client._connection
        answer, event = connection._read_response, connection._read_watch_event

        def tapped_answer(*args: Any) -> Any:
            if getattr(connection, "_taken", None) is None:  # else it is heard as it is set
                self._record(None)
            return answer(*args)

        def tapped_event(body: bytes, offset: int) -> None:
            decoded = Watch.deserialize(body, offset)[0]
            self._record(["event", EVENT_TYPE_MAP[decoded.type], self._encode.path(decoded.path)])
            event(body, offset)

        connection._read_response, connection._read_watch_event = tapped_answer, tapped_event
        at_once = getattr(connection, "_set", None)  # ours: the answer of what a caller read or sent by itself

        def tapped_at_once(*args: Any) -> None:
            self._record(None)
            at_once(*args)

        if at_once is not None:
            connection._set = tapped_at_once

    def _record(self, item: Any) -> None:
        if not self._is_ending:
            self._wire.append(item)

    def _watcher(self, label: str) -> Callable[[Any], None]:
        def watch(event: Any) -> None:
            if not self._is_ending:
                self._calls.setdefault(label, []).append([event.type, event.path or "", event.state])

        return watch

    def _on_state(self, state: str) -> None:
        self._states.append(state)
        if state == KazooState.CONNECTED:
            self._back.set()

    def ask(self, calls: List[List[Any]]) -> List[Any]:
        """Makes the calls, all at once, and waits for all; the values."""
        pending: List[Any] = []
        for call in calls:
            try:
                pending.append(start(self.client, call, self.watchers))
            except Exception as error:
                pending.append(error)
        return [self._finish(call, result) for call, result in zip(calls, pending)]

    def fence(self, request: Any) -> Callable[[], Any]:
        """Makes a write, so that it is told all that it has to be told before the answer; call the result to wait."""
        result = self.client.handler.async_result()
        self.client._call(request, result)
        return lambda: self._finish(["fence"], result)

    def _finish(self, call: List[Any], result: Any) -> Any:
        value = result
        if not isinstance(result, Exception):
            try:
                value = result.get(timeout=PATIENCE_S)
            except self.client.handler.timeout_exception:
                raise AssertionError("%s: no answer to %s" % (self.name, call)) from None
            except Exception as error:
                value = error
        refused_by_kazoo = isinstance(value, Exception) and not hasattr(value, "code")
        if call[0] != "auth" and not refused_by_kazoo:  # those have no reply of their own
            self._asked.append(call)
            if call == ["fence"] and not isinstance(value, Exception):
                value = True  # when it was is of no interest
            self._values.append(self._encode(in_any_order(call, value)))
        else:
            self._calls.setdefault("at once", []).append([call[0], self._encode(value)])
        return value

    def reconnect(self) -> None:
        """Breaks the connection; done when there is another one."""
        self._back.clear()
        self.client._connection._socket.shutdown(socket.SHUT_RDWR)
        self._back.wait(PATIENCE_S)
        assert self._back.is_set(), "%s did not come back" % self.name

    def end(self) -> None:
        """Ends the session, when every callback has been made."""
        done = self.client.handler.event_object()
        self.client.handler.dispatch_callback(Callback("watch", done.set, ()))
        done.wait(PATIENCE_S)
        self._calls = {label: sorted(events) for label, events in self._calls.items()}
        self._is_ending = True
        self.client.stop()
        self.client.close()

    def account(self) -> Dict[str, Any]:
        """What it was told."""
        replies = iter(zip(self._asked, self._values))
        told = [item or ["reply", *next(replies)] for item in self._wire]
        assert next(replies, None) is None, "%s was not answered everything on the wire" % self.name
        return {"told": told, "states": list(self._states), "calls": self._calls}


class Run:
    """One run of one program. ``seen``: every node that was there at the end."""

    def __init__(self, server: Server, place: str) -> None:
        self._server = server
        self._place = place
        self._chroot = server.root + place
        self._encode = Encoder(self._chroot)
        self._here: Dict[int, ProgramSession] = {}
        self._accounts: Dict[str, Any] = {}
        self._count = itertools.count()
        self._is_quiet = True
        self.seen: List[str] = [place]

    def through(self, program: Program) -> Transcript:
        """All of it, and a last look at everything."""
        for slot in sorted({step[0] for step in program}):
            self._open(slot)
        for slot in self._here:
            self._here[slot].wait()
        for slot, calls in program:
            session = self._session_of(slot)
            if calls == ["end"]:
                self._end(slot)
            elif calls == ["reconnect"]:
                self._fence()
                session.reconnect()
            else:
                session.ask(calls)
                self._is_quiet = False
        self._fence()
        self._read_the_tree()
        for slot in sorted(self._here):
            self._end(slot)
        transcript: Transcript = ranked(self._accounts)
        return transcript

    def close(self) -> None:
        """Whatever happened: no session stays."""
        for session in self._here.values():
            session.client.stop()
            session.client.close()

    def _open(self, slot: int) -> None:
        name = "%d.%d" % (slot, next(self._count))
        self._here[slot] = ProgramSession(self._server.connect(), self._chroot, self._encode, name)

    def _session_of(self, slot: int) -> ProgramSession:
        if slot not in self._here:
            self._open(slot)
            self._here[slot].wait()
        return self._here[slot]

    def _fence(self) -> None:
        """Everybody is told what there is to be told until now."""
        if not self._is_quiet:
            for wait in [self._here[slot].fence(self._server.fence) for slot in sorted(self._here)]:
                wait()
        self._is_quiet = True

    def _end(self, slot: int) -> None:
        self._fence()
        session = self._here.pop(slot)
        session.end()
        self._accounts[session.name] = session.account()
        self._is_quiet = False
        self._fence()
        for other in sorted(self._here):
            self._here[other]._wire.append(["end", session.name])

    def _read_the_tree(self) -> None:
        slot = min(self._here) if self._here else 0
        level = ["/"]
        while level:
            calls = [[["get", path, ""], ["get_acls", path], ["children", path, "", True]] for path in level]
            found = self._session_of(slot).ask([call for three in calls for call in three])[2::3]
            level = sorted(
                "%s/%s" % (path.rstrip("/"), name)
                for path, names in zip(level, found)
                if not isinstance(names, Exception)
                for name in names[0]
            )
            self.seen += [self._place + path for path in level]
