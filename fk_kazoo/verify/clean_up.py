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

from . import leftovers, tenants
from .accounts import Notify
from .context import CheckContext
from .outcome import FAILED, Result

TRIES = 2


@contextmanager
def watched(context: CheckContext, notify: Notify) -> Iterator[None]:
    """Ctrl-C, the budget and the time end the run; while it is cleaned up, Ctrl-C is heard and changes nothing."""
    over = threading.Event()

    def interrupted(number: int, _: Any) -> None:
        name = signal.Signals(number).name
        notify("%s: what was made is destroyed first" % name)
        context.ending.now("it was interrupted by %s" % name)

    def guard() -> None:
        while not over.wait(0.5):
            if context.ledger.is_spent:
                context.ending.now("the budget of %.2f USD is all but spent" % context.ledger.budget_usd)
            if time.monotonic() > context.ends_at:
                context.ending.now("the time was over")

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

    def __init__(self, context: CheckContext, notify: Notify) -> None:
        self._context, self._notify = context, notify
        self.failures: List[Result] = []
        self._gone: Set[str] = set()

    def everything(self) -> leftovers.Leftovers:
        """Destroys both deployments and all that was made for them; what is left."""
        account = self._context.account
        for name in (self._context.name, self._context.idle_name):
            if name not in self._gone:
                self.destroy(name)
        self._tried("packages removed", account.forget_packages)
        self._notify("looking at what is left")
        try:
            return leftovers.wait_until_gone(account.cloud, ["fk-" + self._context.name])
        except Exception as error:
            return leftovers.Leftovers([], {"everything": repr(error)})

    def destroy(self, name: str) -> None:
        """One of them, and the roles that were made for it."""
        self._notify("destroying %s" % name)
        if name == self._context.name:
            self._tried("roles removed", lambda: tenants.remove(self._context.account.cloud, name))
        if self._tried("%s destroyed" % name, lambda: self._context.account.destroy(name)):
            self._gone.add(name)
        self._context.ledger.ended(name)

    def _tried(self, what: str, call: Callable[[], None]) -> bool:
        for again in range(TRIES):
            try:
                call()
                return True
            except Exception as error:
                self._notify("%s: not yet: %s" % (what, error))
                if again + 1 == TRIES:
                    claim = "what was made can be removed"
                    self.failures.append(Result(what, claim, FAILED, traceback.format_exc()))
        return False
