"""A client meets stop(), a signal: ``threads_and_signals.py SCENARIO HANDLER URL``; prints ``done``."""

from __future__ import annotations

import sys
import warnings
from typing import Any, Callable, List

SCENARIO, HANDLER, URL = sys.argv[1:]

warnings.simplefilter("ignore")  # eventlet says at its import that it is not long for this world
if HANDLER == "gevent":
    from kazoo.handlers.gevent import SequentialGeventHandler as Handler
elif HANDLER == "eventlet":
    from kazoo.handlers.eventlet import SequentialEventletHandler as Handler
else:
    from kazoo.handlers.threading import SequentialThreadingHandler as Handler

import faulthandler  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from random import Random  # noqa: E402

from kazoo.exceptions import (  # noqa: E402
    AuthFailedError,
    ConnectionClosedError,
    ConnectionLoss,
    SessionExpiredError,
)

from fk_kazoo.client import KazooClient  # noqa: E402

CUT_OFF = (ConnectionClosedError, ConnectionLoss, SessionExpiredError)
SOON_S = 2.0
"""At once, on a loaded machine."""

wrong: List[str] = []
"""What must not happen, in any thread."""


def connected() -> Any:
    """A client."""
    client = KazooClient(URL, handler=Handler())
    client.start(10)
    return client


def timed(limit_s: float, what: str, function: Callable[..., Any], *args: Any) -> Any:
    """What the function returns or raises; it is wrong if that takes longer."""
    began = time.monotonic()
    try:
        return function(*args)
    finally:
        took = time.monotonic() - began
        if took > limit_s:
            wrong.append("%s took %.1f s" % (what, took))


def refuses(client: Any, error: Any, count: int) -> None:
    """So many calls of each kind end with that error, all of them soon."""
    calls: List[Callable[[], Any]] = [
        lambda: client.exists("/"),
        lambda: client.create("/n"),
        lambda: client.get_children_async("/").get(),
        lambda: client.transaction().commit(),
        lambda: client.exists("/", watch=print),
        lambda: client.sync("/"),
    ]

    def refused(call: Callable[[], Any]) -> None:
        try:
            wrong.append("a call of a stopped client returned %r" % (call(),))
        except error:
            pass

    began = time.monotonic()
    for _ in range(count):
        for call in calls:
            refused(call)
    assert time.monotonic() - began < 20 * SOON_S, "took %s s" % (time.monotonic() - began)


def after_stop() -> None:
    """Calls of a client that is stopped, then closed, whose credentials were refused, and that is started again."""
    client = connected()
    client.stop()
    refuses(client, ConnectionClosedError, 500)
    client.close()
    refuses(client, ConnectionClosedError, 100)
    timed(5 * SOON_S, "start()", client.start)
    assert client.exists("/")
    client.stop()
    refuses(client, ConnectionClosedError, 100)
    client.start()
    try:
        client.add_auth("no such scheme", "x")
    except AuthFailedError:
        pass
    client.handler.sleep_func(0.05)
    refuses(client, (AuthFailedError, ConnectionClosedError), 500)
    timed(5 * SOON_S, "stop()", client.stop)


def while_reading() -> None:
    """Threads read, each its own node, while the client is stopped and started again and again."""
    client = connected()
    for number in range(4):
        client.create("/n%d" % number, b"%d" % number)
    done = threading.Event()
    answers = [0] * 4

    def read(number: int) -> None:
        while not done.is_set():
            began = time.monotonic()
            try:
                found = (client.get_async if number % 2 else client.get)("/n%d" % number)
                data = (found.get() if number % 2 else found)[0]
                answers[number] += 1
                if data != b"%d" % number:
                    wrong.append("the answer of another request: %r for %d" % (data, number))
            except CUT_OFF:
                pass
            except Exception as error:
                wrong.append("a reader got %r" % error)
            if time.monotonic() - began > 4 * SOON_S:
                wrong.append("a read took %.1f s" % (time.monotonic() - began))

    readers = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(60):
        before = list(answers)
        deadline = time.monotonic() + 10
        while any(now - then < 3 for now, then in zip(answers, before)) and time.monotonic() < deadline and not wrong:
            time.sleep(0.001)
        if wrong:
            break
        timed(4 * SOON_S, "stop()", client.stop)
        timed(4 * SOON_S, "start()", client.start)
    done.set()
    for reader in readers:
        reader.join(10)
        assert wrong or not reader.is_alive(), "a reader hangs"
    assert wrong or min(answers) > 100, answers


def in_handler() -> None:
    """SIGTERM's handler stops the client while the main thread reads: the usual way in which services end."""
    client = connected()
    random = Random(1)
    ended: List[float] = []

    def end(*_: Any) -> None:
        timed(SOON_S, "stop() in the handler", client.stop)
        ended.append(time.monotonic())

    signal.signal(signal.SIGTERM, end)
    for round_ in range(25):
        begun = threading.Event()

        def kill(begun: threading.Event = begun) -> None:
            begun.wait()
            time.sleep(random.random() * 0.01)  # wherever it is then
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=kill, daemon=True).start()
        try:
            while len(ended) == round_:
                client.exists("/")
                begun.set()
        except CUT_OFF:
            pass
        if wrong:
            return
        assert time.monotonic() - ended[-1] < SOON_S and client.state == "LOST"
        client.start(10)
        assert client.exists("/")


class TimeIsUp(Exception):
    """Raised by the alarm's handler."""


def alarms() -> None:
    """A time limit around reads, as setitimer makes it: it always comes out, and leaves nothing behind.

    But for what Python itself loses: it can raise nothing out of the callback of a weak reference, which the garbage
    collector may call at any moment, and tells `sys.unraisablehook` instead. That is rare, and nothing of ours.
    """
    client, random = connected(), Random(1)
    client.ensure_path("/a/child")
    raised = caught = failed = lost = 0

    def heard(found: Any) -> None:
        nonlocal lost
        lost += found.exc_type is TimeIsUp
        if found.exc_type is not TimeIsUp:
            wrong.append("nobody was told of %r in %r" % (found.exc_value, found.object))

    def ring(*_: Any) -> None:
        nonlocal raised
        raised += 1
        raise TimeIsUp

    sys.unraisablehook = heard
    signal.signal(signal.SIGALRM, ring)
    calls: List[Callable[[], Any]] = [
        lambda: client.get_children("/a") == ["child"],
        lambda: client.exists("/a").numChildren == 1,
        lambda: client.get("/a")[0] == b"",
    ]
    end = time.monotonic() + 4
    while time.monotonic() < end and not wrong:
        before, lost_before, call = raised, lost, random.choice(calls)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0003 + random.random() * 0.002)
            while raised == before:
                if not call():
                    wrong.append("the answer of another request")
            if lost == lost_before:
                wrong.append("the alarm was lost")
        except TimeIsUp:
            caught += 1
        except CUT_OFF:  # kazoo's guess: its own `_call` takes an interruption for a closed connection
            failed += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    counts = (raised, caught, failed, lost)
    assert wrong or (raised == caught + failed + lost and caught > 100 and failed + lost <= caught / 50), counts
    for number in range(100):
        assert client.retry(client.get, "/a")[0] == b"" and client.set("/a/child", b"%d" % number).dataLength < 3
        assert client.get_children("/a") == ["child"]
    timed(4 * SOON_S, "stop()", client.stop)


SCENARIOS = (after_stop, while_reading, in_handler, alarms)


class _Log(logging.Handler):
    """What the client says when something of its own has died."""

    def emit(self, record: logging.LogRecord) -> None:
        """As logging's."""
        wrong.append("logged: %s" % record.getMessage())


def main() -> None:
    """The program. It ends, whatever hangs."""
    faulthandler.dump_traceback_later(60, exit=True)
    threading.excepthook = lambda death: wrong.append("a thread died: %r" % death.exc_value)
    logging.getLogger().addHandler(_Log(logging.ERROR))
    {each.__name__: each for each in SCENARIOS}[SCENARIO]()
    print("\n".join(wrong) or "done", flush=True)
    os._exit(bool(wrong))  # whatever hangs


main()
