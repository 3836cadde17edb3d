"""How the demo shows what happens.

Rule upheld here: lines stay readable in a file; colours are for terminals only, and not where NO_COLOR is set.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import List, Sequence

from fleet_checks import Verdict


class Screen:
    """Lines with the time since the start; coloured if somebody is watching on a terminal."""

    def __init__(self, names: Sequence[str]) -> None:
        self._colours = dict(zip(names, (36, 33, 35, 34)))
        self.started = time.monotonic()
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def paint(self, text: str, colour: int) -> str:
        """The text in an ANSI colour."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.coloured else text

    def line(self, who: str, text: str, bold: bool = False) -> None:
        """One line of the story."""
        name = self.paint(f"{who:<7}", self._colours.get(who, 0))
        with self._lock:
            print(f"{self.seconds():5.1f} s  {name} {self.paint(text, 1) if bold else text}", flush=True)


def summary(screen: Screen, verdicts: List[Verdict]) -> int:
    """Prints what held and what did not; the exit code."""
    print(f"\nAfter {screen.seconds():.1f} s:")
    for verdict in verdicts:
        mark = screen.paint("held  ", 32) if verdict.held else screen.paint("FAILED", 31)
        print(f"  {mark}  {verdict.title:<22} {verdict.detail}")
    return 0 if all(verdict.held for verdict in verdicts) else 1
