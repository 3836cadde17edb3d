"""What one task waits for, and what anything may ring that calls a function: a watch, a listener, another task."""

from __future__ import annotations

from fk_backend.session.flag import Flag


class Bell(Flag):
    """A `Flag` that remembers who rang it. Made anywhere; rung in the loop."""

    __slots__ = ("by",)

    def __init__(self) -> None:
        super().__init__()
        self.by: object = None
        """What the watch function or listener was given that rang last."""

    def ring(self, by: object = None) -> None:
        """Wakes who waits. It stays rung until it is cleared. A watch function and a state listener, too."""
        self.by = by
        self.set()
