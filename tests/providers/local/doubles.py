"""A connection between processes that goes nowhere: what is sent by it is kept."""

from __future__ import annotations

from typing import Any, List


class KeptFrames:
    """As much of `frames.Frames` as its two ends need."""

    transport = None

    def __init__(self) -> None:
        self.sent: List[Any] = []
        self.hung_up = False

    def send(self, *value: Any) -> None:
        """A frame to the other end."""
        self.sent.append(value)

    def hang_up(self) -> None:
        """The connection ends."""
        self.hung_up = True
