"""Somebody closes files of a process with a live client: ``closed_files.py WHICH WHEN URL``; prints ``done``.

WHICH: all that are open, as daemons do; those of the loop, of kazoo's pair, of the doorbell, of SQLite, of the host;
and ``reused``: all, and other files have the numbers at once. WHEN: ``idle``, ``busy``: threads are in the middle of
calls, or ``told``: when a line is read.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from typing import Any, Callable, Dict, List

from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, SessionExpiredError

from fk_backend.providers.descriptors import descriptors_of
from fk_backend.providers.local import files
from fk_kazoo import loop_thread
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import DeploymentConfigurationError

WHICH, WHEN, URL = sys.argv[1:]
CUT_OFF = (ConnectionClosedError, ConnectionLoss, SessionExpiredError)
SOON_S = 2.0
"""At once, on a loaded machine; where nobody asks for anything, it is a second."""
INSIDE_S = 11.0 if WHEN == "busy" and URL.startswith("local") else 0.0
"""SQLite asks again for ten seconds for a lock on what was closed under it. A call, or the host's work, that was inside
it at that very moment waits so long; all later ones find out before they go in.
"""
PLACE = tempfile.mkdtemp()
"""Of the files of somebody else."""
ON_DISK = ("databases", "logs", "shared", "sqlite")
"""SQLite's own files, which nobody may close while somebody else has their numbers."""
MARK = b"the text of somebody else\n"

over = threading.Event()
wrong: List[str] = []
"""What must not happen, in any thread."""


def connected() -> Any:
    """A client."""
    client = KazooClient(URL)
    client.start(10)
    return client


def numbers(client: Any) -> List[int]:
    """What is to be closed."""
    connection, events = client._connection, loop_thread.current().loop
    place = files.locate(URL.partition("://")[2])

    def sqlite(*suffixes: str) -> List[int]:
        names = [path + suffix for path in (place.state, place.interest) for suffix in suffixes]
        return [each.number for each in descriptors_of(names)]

    return {
        "all": lambda: [],
        "reused": lambda: [],
        "selector": lambda: [events._selector.fileno()],
        "waker": lambda: [events._csock.fileno()],
        "woken": lambda: [events._ssock.fileno()],
        "pair": lambda: [connection._read_sock.fileno(), connection._write_sock.fileno()],
        "doorbell": lambda: [connection._channel.socket.fileno()],
        "bell": lambda: [connection._channel._wake_socket.fileno()],
        "databases": lambda: sqlite(""),
        "logs": lambda: sqlite("-wal"),
        "shared": lambda: sqlite("-shm"),
        "sqlite": lambda: sqlite("", "-wal", "-shm"),
        "locks": lambda: [each.number for each in descriptors_of([place.commit_lock, place.lock])],
    }[WHICH]()


def close_all(chosen: List[int]) -> None:
    """Each by itself: they are not next to each other."""
    for number in chosen:
        os.close(number)


def close(client: Any) -> List[int]:
    """Closes them. Those that others have then, which hold something that must stay as it is."""
    chosen = numbers(client)
    if chosen or WHICH not in ("all", "reused"):
        assert chosen, "nothing to close"
        if WHICH in ON_DISK and WHEN == "idle":
            # Between two callbacks of the loop: even an idle host has work, and may be inside SQLite at any moment.
            closed: "Future[None]" = Future()
            loop_thread.current().call(lambda: closed.set_result(close_all(chosen)))
            closed.result(10)
        else:
            close_all(chosen)
        return []
    os.closerange(3, 4096)
    others = []
    if WHICH == "reused":
        for _ in range(40):
            others.append(os.open(os.path.join(PLACE, str(len(others))), os.O_RDWR | os.O_CREAT | os.O_EXCL))
            os.write(others[-1], MARK)
    return others


def timed(what: str, limit_s: float, function: Callable[[], Any]) -> Any:
    """What it returns or raises, in another thread. It is wrong if that takes longer."""
    outcome: List[Any] = []

    def work() -> None:
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    began = time.monotonic()
    caller = threading.Thread(target=work, daemon=True)
    caller.start()
    caller.join(15)
    took = time.monotonic() - began
    if took > limit_s or not outcome:
        wrong.append("%s took %.1f s" % (what, took))
    return outcome[0] if outcome else None


def calling(client: Any) -> List[threading.Thread]:
    """Threads that read and write until they are told that it is over."""

    def work(call: Callable[[], Any]) -> None:
        try:
            while not over.is_set():
                call()
        except CUT_OFF:
            pass
        except Exception as error:
            wrong.append("a caller got %r" % error)

    calls: List[Callable[[], Any]] = [
        lambda: client.get("/n"),
        lambda: client.set("/n", b"data"),
        lambda: client.get_children_async("/").get(),
    ]
    callers = [threading.Thread(target=work, args=(call,), daemon=True) for call in calls]
    for caller in callers:
        caller.start()
    time.sleep(0.05)  # in the middle of something, each somewhere else
    return callers


def main() -> None:
    """The program. It ends, whatever hangs."""
    faulthandler.dump_traceback_later(60, exit=True)
    threading.excepthook = lambda death: wrong.append("a thread died: %r" % death.exc_value)
    sys.unraisablehook = lambda failure: wrong.append("nobody was told: %r" % failure.exc_value)
    logging.getLogger().addHandler(_Log(logging.ERROR))
    client, idle = connected(), KazooClient(URL)
    client.ensure_path("/n")
    heard: "Dict[str, float]" = {}
    client.add_listener(lambda state: heard.setdefault(state, time.monotonic()) and None)
    callers = calling(client) if WHEN == "busy" else []
    if WHEN == "told":
        print("ready", flush=True)
        sys.stdin.readline()
    if WHICH == "reused":
        time.sleep(0.2)  # what is being written at that very moment may reach whoever has the number next
    began = time.monotonic()
    others = close(client)
    over.set()
    for caller in callers:
        caller.join(2 * SOON_S + INSIDE_S)
        if caller.is_alive():
            wrong.append("a call did not end")
    # What only a client's thread can find out it does at its next ping, as kazoo's does.
    limit = 5.0 if WHICH in ("pair", "doorbell", "bell", "locks") else SOON_S
    while WHICH in ("all", "reused", "pair", "sqlite") and "LOST" not in heard and time.monotonic() < began + limit:
        time.sleep(0.01)
    calls: Dict[str, Callable[[], Any]] = {
        "exists": lambda: client.exists("/n"),
        "set": lambda: client.set("/n", b"data"),
        "get_children": lambda: client.get_children("/"),
        "get": lambda: client.get("/n", watch=lambda event: None),
        "create": lambda: client.create("/c-", sequence=True, ephemeral=True),
        "add_auth": lambda: client.add_auth("digest", "a:b"),
    }
    for name, call in calls.items():
        result = timed(name, limit + INSIDE_S, call)
        if isinstance(result, Exception) and not isinstance(result, CUT_OFF):
            wrong.append("%s raised %r" % (name, result))
    if WHICH in ("all", "reused") and ("LOST" not in heard or client.connected):
        wrong.append("nobody was told: %r" % heard)
    for name, call in {"stop": client.stop, "close": client.close, "restart": client.restart}.items():
        result = timed(name, 2 * SOON_S, call)
        refused = isinstance(result, DeploymentConfigurationError) and name == "restart"
        # Others have the numbers, or kazoo's thread: its selector takes the lowest one that is free at every wait.
        taken = WHICH in ("reused", *ON_DISK) or WHEN == "busy"
        if isinstance(result, Exception) and not (refused and taken and URL.startswith("local")):
            wrong.append("%s: %r" % (name, result))
    if not refused:  # else others have the numbers that SQLite would close
        for each in (client, idle, connected()):
            each.start(10)
            result = timed("a new session", SOON_S, lambda each=each: each.create("/made-", sequence=True))  # type: ignore[misc]
            if isinstance(result, Exception):
                wrong.append("a new session got %r" % result)
            timed("stop", 2 * SOON_S, each.stop)
    for number, other in enumerate(others):
        with open(os.path.join(PLACE, str(number)), "rb") as file:
            held = file.read()
            if held != MARK or not os.path.samestat(os.fstat(other), os.fstat(file.fileno())):
                wrong.append("somebody else's file %d was damaged: %r" % (other, held[:60]))
    used, moment = time.process_time(), time.monotonic()
    time.sleep(0.3)
    if time.process_time() - used > 0.5 * (time.monotonic() - moment):
        wrong.append("something spins")
    shutil.rmtree(PLACE)
    print("\n".join(wrong) or "done", flush=True)
    os._exit(bool(wrong))  # whatever hangs


class _Log(logging.Handler):
    """What is said when something has died. That files were closed is said, once."""

    def emit(self, record: logging.LogRecord) -> None:
        """As logging's."""
        if not record.getMessage().startswith("somebody else closed"):
            wrong.append("logged: %s %r" % (record.getMessage(), record.exc_info))


main()
