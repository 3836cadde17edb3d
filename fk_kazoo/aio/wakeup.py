"""What a task waits for. Whatever can call a function can wake it: a watch, a listener, another task."""

from __future__ import annotations

from fk_backend.session.flag import Flag


class Wakeup(Flag):
    """A `Flag` that remembers who set it. Made anywhere; set in the loop."""

    __slots__ = ("by",)

    def __init__(self) -> None:
        super().__init__()
        self.by: object = None
        """What the watch function or listener was given that woke it last."""

    def wake(self, by: object = None) -> None:
        """Wakes who waits. It stays set until it is cleared. A watch function and a state listener, too."""
        self.by = by
        self.set()
