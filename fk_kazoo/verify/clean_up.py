"""The end of a run: when it comes, and that everything goes.

Rule upheld here: what can't be removed at once is tried again, what is in the way of one thing is in the way of no
other, and what is left is told.
"""

from __future__ import annotations

import signal
import threading
import time
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Set

from . import remains, tenants
from .outcome import FAILED, Result
from .places import Tell
from .scene import Scene

TRIES = 2


@contextmanager
def watched(scene: Scene, tell: Tell) -> Iterator[None]:
    """Ctrl-C, the budget and the time end the run; while it is cleaned up, Ctrl-C is heard and changes nothing."""
    over = threading.Event()

    def interrupted(number: int, _: Any) -> None:
        name = signal.Signals(number).name
        tell("%s: what was made is destroyed first" % name)
        scene.ending.now("it was interrupted by %s" % name)

    def guard() -> None:
        while not over.wait(0.5):
            if scene.ledger.is_spent:
                scene.ending.now("the budget of %.2f USD is all but spent" % scene.ledger.budget_usd)
            if time.monotonic() > scene.ends_at:
                scene.ending.now("the time was over")

    threading.Thread(target=guard, daemon=True).start()
    in_main = threading.current_thread() is threading.main_thread()
    before = {one: signal.signal(one, interrupted) for one in (signal.SIGINT, signal.SIGTERM) if in_main}
    try:
        yield
    finally:
        over.set()
        for one, handler in before.items():
            signal.signal(one, handler)


class CleanUp:
    """``failures``: what could not be removed, and why."""

    def __init__(self, scene: Scene, tell: Tell) -> None:
        self._scene, self._tell = scene, tell
        self.failures: List[Result] = []
        self._gone: Set[str] = set()

    def everything(self) -> remains.Looked:
        """Destroys both deployments and all that was made for them; what is left."""
        place = self._scene.place
        for name in (self._scene.name, self._scene.idle_name):
            if name not in self._gone:
                self.destroy(name)
        self._tried("packages removed", place.forget_packages)
        self._tell("looking at what is left")
        try:
            return remains.settled(place.cloud, ["fk-" + self._scene.name])
        except Exception as error:
            return remains.Looked([], {"everything": repr(error)})

    def destroy(self, name: str) -> None:
        """One of them, and the roles that were made for it."""
        self._tell("destroying %s" % name)
        if name == self._scene.name:
            self._tried("roles removed", lambda: tenants.remove(self._scene.place.cloud, name))
        if self._tried("%s destroyed" % name, lambda: self._scene.place.destroy(name)):
            self._gone.add(name)
        self._scene.ledger.ended(name)

    def _tried(self, what: str, call: Callable[[], None]) -> bool:
        for again in range(TRIES):
            try:
                call()
                return True
            except Exception as error:
                self._tell("%s: not yet: %s" % (what, error))
                if again + 1 == TRIES:
                    claim = "what was made can be removed"
                    self.failures.append(Result(what, claim, FAILED, traceback.format_exc()))
        return False
