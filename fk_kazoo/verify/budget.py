"""What the run has cost so far, by the project's own cost model; it never says less than what is to be expected.

Prices are those of us-east-1, and regions differ: hence `MARGIN`.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Tuple

from ..commands.cost import DAY_S, Load, daily
from ..commands.cost_figures import FIGURES, PRICES

MARGIN = 2.0
RESERVE_USD = 0.02
"""Kept for removing everything and for looking at what was used."""
CLIENTS, HOLDERS = 20, 5
"""Taken to be connected all the time: more than there are on average."""
ALARMS_USD_S = 25 * 0.10 / (30 * DAY_S)
"""Of the alarms of one deployment; CloudWatch's price beyond those that are free."""
ASKED_USD = 0.01 / 1000
"""For one metric that CloudWatch is asked for."""


class Ledger:
    """Counts requests; any thread may. ``now``: seconds of a clock."""

    def __init__(self, budget_usd: float, now: Callable[[], float] = time.monotonic) -> None:
        self.budget_usd = budget_usd
        self._now = now
        self._lock = threading.Lock()
        self._began: Dict[str, Tuple[float, float]] = {}
        self.reads = self.writes = 0.0
        self.asked = 0

    def add(self, reads: float = 0, writes: float = 0, asked: int = 0) -> None:
        """Requests of clients, and metrics asked for."""
        with self._lock:
            self.reads += reads
            self.writes += writes
            self.asked += asked

    def lives(self, deployment: str) -> None:
        """A deployment is there from now on."""
        self._began[deployment] = (self._now(), float("inf"))

    def ended(self, deployment: str) -> None:
        """It is there no longer."""
        began, _ = self._began.get(deployment, (self._now(), 0.0))
        self._began[deployment] = (began, self._now())

    @contextmanager
    def assumed(self, reads_s: float, writes_s: float) -> Iterator[None]:
        """Somebody who does not count makes at most so many requests a second, as long as this lasts."""
        done, began = threading.Event(), self._now()

        def count() -> None:
            last = began
            while not done.wait(1.0):
                now = self._now()
                self.add(reads_s * (now - last), writes_s * (now - last))
                last = now

        counting = threading.Thread(target=count, daemon=True)
        counting.start()
        try:
            yield
        finally:
            done.set()
            counting.join()

    def spent_usd(self) -> float:
        """So far, at most."""
        price = PRICES["current"]
        now = self._now()
        alive_s = sum(min(end, now) - began for began, end in list(self._began.values()))
        none = sum(daily(Load(0, 0, 0, 0), FIGURES, price).values())
        asked = sum(daily(Load(self.reads, self.writes, 0, 0), FIGURES, price).values()) - none
        connected = Load(0, 0, CLIENTS, HOLDERS, inboxes=CLIENTS)
        there = sum(daily(connected, FIGURES, price).values()) / DAY_S + ALARMS_USD_S
        return MARGIN * (asked + there * alive_s + self.asked * ASKED_USD)

    @property
    def is_spent(self) -> bool:
        """Whether it has to end now, so that removing everything is paid for as well."""
        return self.spent_usd() + RESERVE_USD >= self.budget_usd
