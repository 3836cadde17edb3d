"""Interrupts calls at their lines, one after another, in this process; says line by line, in JSON, what it finds.

``python -m tests.client.interruptions.worker HANDLER URL EVERY CELL:FIRST...``: a cell is OPERATION/ACTION; FIRST is
the number of its first line. HANDLER: threading, gevent, eventlet, gevent-patched, eventlet-patched; ``kazoo`` is plain
kazoo, and URL a ZooKeeper server then.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, List, Tuple

HANDLER, URL, EVERY = sys.argv[1], sys.argv[2], int(sys.argv[3])

warnings.simplefilter("ignore")  # eventlet says at its import that it is not long for this world
if HANDLER.startswith("gevent"):
    if HANDLER.endswith("patched"):
        from gevent import monkey

        monkey.patch_all()
    from kazoo.handlers.gevent import SequentialGeventHandler as Handler
elif HANDLER.startswith("eventlet"):
    if HANDLER.endswith("patched"):
        import eventlet

        eventlet.monkey_patch()
    from kazoo.handlers.eventlet import SequentialEventletHandler as Handler
else:
    from kazoo.handlers.threading import SequentialThreadingHandler as Handler

import faulthandler  # noqa: E402 (after the patching)
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from tests.client.interruptions.actions import ACTIONS, Interruption, Quit  # noqa: E402
from tests.client.interruptions.operations import CUT_OFF, NODES, OPERATIONS, Call, data, plant  # noqa: E402
from tests.client.interruptions.tripwire import Tripwire  # noqa: E402

if HANDLER == "kazoo":
    from kazoo.client import KazooClient
else:
    from fk_kazoo.client import KazooClient

CALL_S = 4.0
"""What a call may take at most, on a loaded machine; it takes milliseconds."""
USABLE_S = 6.0
"""How long a client may need until it works again, or says that it is closed."""
MOST_FINDINGS = 10
"""Of one cell. Then the next one's turn has come."""

_deaths: List[str] = []
"""What has gone wrong in other threads."""


class _Log(logging.Handler):
    """What the client logs when something of its own has died."""

    def emit(self, record: logging.LogRecord) -> None:
        """As logging's."""
        error = record.exc_info[1] if record.exc_info else None
        harmless = isinstance(error, (Interruption, Quit)) and "Unhandled" not in record.getMessage()
        if not harmless:
            _deaths.append("logged: %s (%r)" % (record.getMessage().split("\n")[0], error))


def say(**what: Any) -> None:
    """One line for whoever started this."""
    sys.__stdout__.write(json.dumps(what) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


class Unusable(Exception):
    """The client neither works nor says that it is closed."""


class Cell:
    """One operation and one action, at every line."""

    def __init__(self, name: str, first: int) -> None:
        operation, action = name.split("/")
        self.name, self.number = name, first
        self.operation, self.action = OPERATIONS[operation], ACTIONS[action]
        self.findings = 0
        self.where = ""
        self.states: List[str] = []

    def run(self) -> None:
        """Every line. Says what it finds."""
        self.client, self.other = connected(), connected()
        self.client.add_listener(lambda state: self.states.append(str(state)))
        points = 0
        while self.findings < MOST_FINDINGS:
            say(at=self.number, cell=self.name)
            try:
                fired = self.point()
            except (Unusable, AssertionError) as error:
                self.find(str(error))
                fired = True
                self.renew()
            if not fired:
                break
            points += 1
            self.number += EVERY
        say(over=self.name, lines=self.number, points=points)
        self.client.stop()
        self.other.stop()

    def renew(self) -> None:
        """Leaves the client behind. If a new one does not work either, so much is broken that this process is."""
        leave(self.client)
        try:
            self.client = connected()
        except Exception as error:
            self.find("a new client does not work either: %r" % error)
            os._exit(3)
        self.client.add_listener(lambda state: self.states.append(str(state)))

    def find(self, what: str) -> None:
        """Something is wrong."""
        self.findings += 1
        say(finding=what, cell=self.name, line=self.number, where=self.where)

    def point(self) -> bool:
        """Interrupts one call. False if it was over before."""
        call = self.operation(self.client, new_number())
        self.where = ""
        call.prepare()
        _deaths.clear()
        self.states.clear()
        action = self.action(self.client)

        def fire(where: str) -> None:
            say(fired=where)
            action.fire()

        trip = Tripwire(self.number, fire, action.skip)
        began = time.monotonic()
        try:
            outcome: Any = trip.run(call.make)
        except BaseException as error:
            outcome = error
        took = time.monotonic() - began
        self.where = trip.fired
        if trip.fired:
            action.settle()
        answered = self.judge(call, action, outcome, trip.fired)
        for trouble in action.trouble if trip.fired else ():
            self.find(trouble)
        if took > CALL_S and not action.trouble:
            self.find("the call took %.1f s" % took)
        self.usable(bool(trip.fired) and action.ends_session)
        if hasattr(call, "cut_off"):
            call.cut_off = bool(trip.fired) and (action.ends_session or "LOST" in self.states)
        if not action.ends_session and "LOST" in self.states:
            self.find("the session is lost: %s" % self.states)
        try:
            call.after(answered, self.other)
        except CUT_OFF as error:
            raise Unusable("after the call: %r" % error) from error
        for death in _deaths:
            self.find(death)
        return bool(trip.fired)

    def judge(self, call: Call, action: Any, outcome: Any, fired: str) -> bool:
        """Whether the call was answered. Says if it ended as it must not."""
        error = isinstance(outcome, BaseException) and not isinstance(outcome, call.expected)
        if not error and not call.right(outcome):
            self.find("a wrong answer: %.200r" % (outcome,))
        if not fired:
            if error:
                self.find("not interrupted, and yet %r" % outcome)
        elif action.raises is not None:
            by_kazoo = fired.startswith("kazoo/client.py") and isinstance(outcome, CUT_OFF)
            if not isinstance(outcome, action.raises) and not by_kazoo:  # its `_call` takes all for a closed connection
                self.find("what the handler raised is lost; the call: %.200r" % (outcome,))
        elif error and not isinstance(outcome, (*CUT_OFF, *(call.expected_anew if action.ends_session else ()))):
            self.find("the wrong exception: %r" % outcome)
        return not error

    def usable(self, may_be_closed: bool) -> None:
        """Until the client works. It is started again if it says that it is closed, and may be."""
        client = self.client
        deadline = time.monotonic() + USABLE_S
        while True:
            key = new_number() % NODES
            try:
                asked = [client.get_async("/n/%d" % key), client.set_async("/u/%d" % key, b"after")]
                asked += [client.get_async("/u/%d" % key), client.get_children_async("/n/%d" % key)]
                found = [each.get(timeout=CALL_S) for each in asked]
                at_once = client.get_async("/n/%d" % key).get(timeout=CALL_S)[0]
                right = at_once == found[0][0] == data(key) and found[2][0] == b"after"
                if not (right and found[3] == ["c%d" % key]):
                    raise Unusable("wrong answers afterwards: %.300r" % ([*found, at_once],))
                return
            except CUT_OFF as error:
                if time.monotonic() > deadline:
                    raise Unusable("unusable afterwards: %r" % error) from error
                if isinstance(error, CUT_OFF[0]):
                    if not may_be_closed:
                        raise Unusable("closed afterwards: %r" % error) from error
                    self.start()
                client.handler.sleep_func(0.002)
            except Unusable:
                raise
            except Exception as error:
                raise Unusable("unusable afterwards: %r" % error) from error

    def start(self) -> None:
        """Again."""
        try:
            self.client.start(CALL_S)
        except Exception as error:
            raise Unusable("start() raised %r" % error) from error


_number = 0


def new_number() -> int:
    """One for each call."""
    global _number
    _number += 1
    return _number


def connected() -> Any:
    """A new client."""
    client = KazooClient(URL, handler=Handler(), timeout=10.0)
    client.start(CALL_S)
    plant_once(client)
    return client


_planted: List[bool] = []


def plant_once(client: Any) -> None:
    """The nodes, in a tree of this process's own on a server that is shared."""
    global _number
    if not _planted:
        _planted.append(True)
        if client.exists("/w") is None:
            plant(client)
        _number = max([0, *(int(name) for path in ("/c", "/e", "/t", "/w") for name in client.get_children(path))])


def leave(client: Any) -> None:
    """Stops it in the background, if it can be stopped."""
    if HANDLER in ("threading", "kazoo"):
        threading.Thread(target=client.stop, daemon=True).start()


def cells() -> List[Tuple[str, int]]:
    """As the arguments say."""
    return [(name, int(first)) for name, _, first in (each.partition(":") for each in sys.argv[4:])]


def main() -> None:
    """The program."""
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    threading.excepthook = lambda death: _deaths.append(
        "a thread died: %s %s" % (death.exc_type.__name__, death.exc_value)
    )
    logging.getLogger().addHandler(_Log(logging.ERROR))
    for name, first in cells():
        Cell(name, first).run()
    say(done=True)
    os._exit(0)  # whatever was left behind


if __name__ == "__main__":
    main()
