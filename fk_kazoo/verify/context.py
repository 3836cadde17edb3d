"""What every check is given: the deployments, clients that count what they ask, samples, and when to stop."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

from kazoo.protocol import serialization

from ..client import KazooClient
from .budget import Ledger
from .latency import Samples
from .outcome import Stopped

if TYPE_CHECKING:
    from .accounts import Account

ANSWER_TIMEOUT_S, EMULATED_ANSWER_TIMEOUT_S = 30.0, 90.0
"""For whatever should come at once: AWS may have to start a function for it, and a machine may have no time for it."""
TIMEOUT_S = (10.0, 40.0)
"""Of sessions on AWS, and on an emulator: there a machine that has no time is not taken for a fault."""
LAST_S = 10.0
"""For what is done after the idleness."""
_READS = (serialization.GetData, serialization.Exists, serialization.GetChildren, serialization.GetChildren2)


class Scale(NamedTuple):
    """How long is waited for what takes minutes on AWS, in seconds."""

    held_s: float = 300.0
    idle_s: float = 900.0
    resent_s: Tuple[float, float] = (240.0, 360.0)
    load_s: float = 60.0
    samples: int = 100
    quick: bool = False


QUICK = Scale(held_s=16.0, idle_s=20.0, resent_s=(4.0, 6.0), load_s=6.0, samples=20, quick=True)
"""For CI: shows that the checks work, and nothing about minutes."""


class Ending:
    """Why the run ends early, if it does. The first reason counts."""

    def __init__(self) -> None:
        self.reason = ""
        self._event = threading.Event()

    def now(self, reason: str) -> None:
        """Ends it."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        return self._event.wait(seconds)


class _Counted(KazooClient):
    """The shipped client; what is asked through it is in the ledger."""

    ledger: Ledger

    def _call(self, request: Any, async_object: Any) -> Any:
        self.ledger.add(**{"reads" if isinstance(request, _READS) else "writes": 1})
        return super()._call(request, async_object)


class Window(NamedTuple):
    """From when to when, in seconds since the epoch, and what was asked of the deployment in it."""

    started_s: float
    ended_s: float
    reads: float
    writes: float


class CheckContext:
    """``url``: of the deployment that is used; ``idle_url``: of the one that is left alone, once they are there."""

    def __init__(self, account: "Account", name: str, scale: Scale, ledger: Ledger, ends_at: float) -> None:
        """``ends_at``: when all checks have to be done, by `time.monotonic`."""
        self.account, self.name, self.scale, self.ledger, self.ends_at = account, name, scale, ledger, ends_at
        self.url = self.idle_url = ""
        self.samples = Samples()
        self.ending = Ending()
        self.window: Optional[Window] = None
        """In which nothing ran but what was counted."""

    @property
    def answer_timeout_s(self) -> float:
        """For what should come at once."""
        return EMULATED_ANSWER_TIMEOUT_S if self.account.emulator else ANSWER_TIMEOUT_S

    @property
    def idle_name(self) -> str:
        """What the other deployment is called."""
        return self.name + "-idle"

    def at(self, namespace: str, idle: bool = False) -> str:
        """The URL of a namespace."""
        return "%s&namespace=%s" % (self.idle_url if idle else self.url, namespace)

    @contextmanager
    def client(self, namespace: str, idle: bool = False, **options: Any) -> Iterator[Any]:
        """A client that is connected, and closed afterwards."""
        options.setdefault("timeout", TIMEOUT_S[bool(self.account.emulator)])
        client = _Counted(self.at(namespace, idle), **options)
        client.ledger = self.ledger
        try:
            client.start(timeout=self.answer_timeout_s)
            self.ledger.add(writes=2)  # its session is opened and closed
            yield client
        finally:
            client.stop()
            client.close()

    def go_on(self) -> None:
        """Stopped if the run ends."""
        if self.ending:
            raise Stopped(self.ending.reason)

    def wait(self, seconds: float) -> None:
        """Lets that much time pass. Stopped if the run ends meanwhile."""
        if self.ending.wait(max(0.0, seconds)):
            raise Stopped(self.ending.reason)

    def idle_left_s(self) -> float:
        """How long it can be waited for idleness: as long as is asked for, or as there is time."""
        return max(0.0, min(self.scale.idle_s, self.ends_at - time.monotonic() - LAST_S))

    def eventually(self, condition: Callable[[], Any], what: str, within_s: Optional[float] = None) -> Any:
        """Its value as soon as it is true. AssertionError when the time is up, Stopped if the run ends."""
        within_s = within_s or self.answer_timeout_s
        until = time.monotonic() + within_s
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < until, "not within %.0f s: %s" % (within_s, what)
            self.wait(0.05)

    def environment(self, **more: str) -> Dict[str, str]:
        """Of a program that is run beside this one."""
        return {**os.environ, **more}
