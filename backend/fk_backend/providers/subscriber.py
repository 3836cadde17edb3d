"""Who listens to an inbox of this process, where no service keeps what is pushed."""

from __future__ import annotations

from typing import Callable, NamedTuple

MOVED = "the session moved to another connection"


class Subscriber(NamedTuple):
    """What it is called with: each note, and why there will be no more."""

    receive: Callable[[bytes], None]
    lost: Callable[[str], None]
