"""What the client's tests share: waiting with a deadline, records of states, faults, helper programs.

Nothing here sleeps to be in time for something: whoever waits, waits for what is needed, and fails if it does not come.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, List, Optional, Set, Tuple, cast

from kazoo.handlers.threading import SequentialThreadingHandler

from fk_backend.ports import UNLIMITED, Clock, Gateway
from fk_backend.testing import faults
from fk_backend.testing.faults import FaultyGateway
from fk_kazoo import client as shipped
from fk_kazoo import loop_thread
from fk_kazoo.connection import Channel, ConnectionHandler
from fk_kazoo.testing.kit import Route

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(__file__).resolve().parent
PATIENCE_S = 15.0
"""For what happens in milliseconds on an idle machine."""
STOP_S = 8.0
"""What stop() may take, whatever hangs, as long as the process itself goes on; on a loaded machine."""


def eventually(condition: Callable[[], Any], timeout: float = PATIENCE_S, what: str = "") -> Any:
    """The condition's value as soon as it is true. AssertionError when the time is up."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not within %s s: %s" % (timeout, what or condition)
        time.sleep(0.005)


def eventually_is(read: Callable[[], Any], expected: Any, timeout: float = PATIENCE_S) -> None:
    """Until that is what is read; an IndexError means: not yet."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            found = read()
        except IndexError:
            found = None
        if found == expected:
            return
        assert time.monotonic() < deadline, "not within %s s: %r, but %r" % (timeout, expected, found)
        time.sleep(0.005)


def within(seconds: float, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function returns or raises, which it must do in time. It gets a thread of its own."""
    outcome: List[Tuple[Any, Optional[BaseException]]] = []

    def work() -> None:
        try:
            outcome.append((function(*args, **kwargs), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, "%s did not return within %s s" % (getattr(function, "__name__", function), seconds)
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def at_once(count: int, seconds: float, function: Callable[[], Any]) -> None:
    """Has so many threads call it at the same time. Each must return in time, and raise nothing."""
    barrier = threading.Barrier(count)
    errors: List[BaseException] = []

    def work() -> None:
        barrier.wait()
        try:
            function()
        except BaseException as error:  # handed over to the one who waits
            errors.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive()
    assert errors == []


class States:
    """A state listener that writes down what it is told, and the session it was told in."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.seen: List[str] = []
        self.sessions: List[Optional[int]] = []
        client.add_listener(self)

    def __call__(self, state: str) -> None:
        self.sessions.append(self._client._session_id)
        self.seen.append(str(state))

    def wait(self, *expected: str, timeout: float = PATIENCE_S) -> None:
        """Until exactly these were seen."""
        deadline = time.monotonic() + timeout
        while self.seen != list(expected):
            assert time.monotonic() < deadline, "expected %s, saw %s" % (list(expected), self.seen)
            time.sleep(0.005)


# --- faults ---------------------------------------------------------------------------------------


def in_loop(function: Callable[..., Any], *args: Any) -> Any:
    """Has the clients' event loop call it, and waits for what it returns; a coroutine is run."""

    async def call() -> Any:
        value = function(*args)
        return await value if asyncio.iscoroutine(value) else value

    return loop_thread.run(SequentialThreadingHandler(), call, PATIENCE_S)


class Hole:
    """A gateway that swallows what it is given: no answer, no error, and nobody is told."""

    address: Optional[str] = None
    blobs = None
    direct = None

    def __init__(self, gateway: Gateway) -> None:
        self.clock = gateway.clock
        self.store = self
        self.queue = self
        self.capabilities = UNLIMITED

    async def _nothing(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.Event().wait()

    get = query = commit = increment = purge = scan = send = listen = check = _nothing

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """`ports.Gateway.unsubscribe`."""

    async def close(self) -> None:
        """`ports.Gateway.close`."""


class JumpingClock:
    """The system's clock, until it jumps, as it does for a process that was paused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        """`ports.Clock.monotonic`."""
        return self._clock.monotonic() + self.ahead_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


class ClientLink:
    """The way of one client to its deployment, where it can fail."""

    def __init__(self) -> None:
        self._clock: Optional[JumpingClock] = None
        self._gateway: Optional[FaultyGateway] = None
        self._is_cut = False
        self._is_hole = False
        self.dialled = 0

    def through(self, gateway: Gateway) -> Gateway:
        """The gateway as it is at the client's end. In the loop's thread."""
        self.dialled += 1
        if self._is_hole:
            return cast(Gateway, Hole(gateway))
        self._gateway = FaultyGateway(gateway)
        self._gateway.clock = self._clock = JumpingClock(gateway.clock)
        if self._is_cut:
            self._gateway.cut()
        return cast(Gateway, self._gateway)

    def cut(self) -> None:
        """Nothing gets through, and the client notices at once."""
        in_loop(self._set, True)

    def mend(self) -> None:
        """Everything gets through again."""
        self._is_hole = False
        in_loop(self._set, False)

    def jump(self, seconds: float) -> None:
        """The client's clock goes on by so much at once."""
        assert self._clock is not None
        self._clock.ahead_s += seconds

    def swallow(self) -> None:
        """From the next connection on there is no answer and no error."""
        self._is_hole = True

    def _set(self, is_cut: bool) -> None:
        self._is_cut = is_cut
        if self._gateway is not None:
            self._gateway.mend()
            if is_cut:
                self._gateway.cut()


class CableConnection(ConnectionHandler):
    """Dials through the client's cable."""

    def _dial(self, host: str, port: int) -> Channel:
        if self._opening is None:
            self._opening = self._acquire()
        return Channel(
            cast(loop_thread.Opening, Route(self._opening, self.client.client_link)), self.client.deployment.namespace
        )


class CableClient(shipped.KazooClient):
    """The shipped client with a cable that can be cut."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.client_link = ClientLink()
        super().__init__(*args, **kwargs)
        self._connection = CableConnection(self, self._conn_retry.copy(), logger=self.logger)

    def cut_off(self) -> None:
        """Cuts it off, and waits until it knows."""
        self.client_link.cut()
        eventually(lambda: not self.connected, what="the client notices that it is cut off")

    def mend(self) -> None:
        """Lets it through again, and waits until it is connected."""
        self.client_link.mend()
        eventually(lambda: self.connected, what="the client is connected again")


async def _expire(url: Any, session: int) -> None:
    opening = loop_thread.current().acquire(url)
    try:
        await faults.expire(_inside(await opening.gateway()), url.namespace, session)
    finally:
        loop_thread.current().release(opening)


def _inside(gateway: Any) -> Any:
    """The gateway with the functions' own queue: a deployment takes an expiry from nobody else."""
    queue = getattr(gateway, "functions_queue", gateway)
    return SimpleNamespace(store=gateway.store, clock=gateway.clock, queue=queue)


def expire(client: Any) -> None:
    """Has the deployment expire the client's session now."""
    in_loop(_expire, client.deployment, client._session_id)


def lose_session(client: Any) -> None:
    """Has the client's session expired, and waits until it has a new one."""
    session = client._session_id
    expire(client)
    eventually(lambda: client.connected and client._session_id != session, what="a new session")


# --- processes ------------------------------------------------------------------------------------


def environment() -> "dict[str, str]":
    """For a program that imports what is tested here."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backend")])
    return {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}


class Program:
    """One of the helper programs, running: what it prints can be waited for, line by line."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / (name + ".py")), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            start_new_session=True,
        )
        self.pid = self.process.pid
        self.output: List[str] = []
        self._lines: "queue.Queue[Optional[str]]" = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def expect(self, prefix: str, timeout: float = PATIENCE_S) -> str:
        """Waits for a line that starts so; what follows on it."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError("no %r within %s s: %s" % (prefix, timeout, self.output)) from None
            assert line is not None, "ended without %r: %s" % (prefix, self.output)
            self.output.append(line)
            if line.startswith(prefix):
                return line[len(prefix) :].strip()

    def say(self, line: str) -> None:
        """Gives it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    def end(self, timeout: float = 20.0) -> int:
        """Waits until it has ended; its exit code. Everything it printed is in ``output`` then."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running after %s s; it printed %s" % (timeout, self.output)) from None
        self._reader.join(timeout)
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self.output.append(line)
        return code

    def kill(self) -> None:
        """Ends it, whatever it does. Again: nothing more happens."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def clean_up(self) -> None:
        """Ends it and all that it has forked."""
        self.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._reader.join(PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def own_descriptors() -> Set[str]:
    """The open files of this process."""
    return set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set(os.listdir("/dev/fd"))
