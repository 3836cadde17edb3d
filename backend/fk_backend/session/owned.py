"""Whether a session may own an ephemeral, as far as it can know: if so, it beats.

It is told of every write before it is sent and when it is answered. An ephemeral that somebody else deleted is still
counted: then it beats without need. One that it does not know of would be lost with its session.
"""

from __future__ import annotations

from typing import Any, Dict

from ..core import owners
from ..core.model import Error
from ..core.requests import Create, Delete, Multi


class OwnedEphemerals:
    """True while the session owns, or asked for, or may own an ephemeral."""

    __slots__ = ("_always", "_asked", "_paths")

    def __init__(self, always: bool) -> None:
        self._always = always
        self._asked = 0
        self._paths: Dict[str, None] = {}

    def __bool__(self) -> bool:
        return self._always or self._asked > 0 or bool(self._paths)

    def unknown(self) -> None:
        """The session was another connection's before: what that one made is not known here."""
        self._always = True

    def asked(self, op: Any) -> None:
        """A write is about to be sent."""
        self._asked += makes_ephemeral(op)

    def unasked(self, op: Any) -> None:
        """It was not sent after all."""
        self._asked -= makes_ephemeral(op)

    def settled(self, op: Any, code: int, value: Any) -> None:
        """A write was answered."""
        self._asked -= makes_ephemeral(op)
        if code != Error.OK or self._always:
            return
        if isinstance(op, Multi):
            if all(part[0] == Error.OK for part in value):
                for part, (_, part_value, _) in zip(op.ops, value):
                    self._done(part, part_value)
        else:
            self._done(op, value)

    def _done(self, op: Any, value: Any) -> None:
        if isinstance(op, Create) and makes_ephemeral(op):
            self._paths[value if isinstance(value, str) else value[0]] = None
        elif isinstance(op, Delete):
            self._paths.pop(op.path, None)


def makes_ephemeral(op: Any) -> bool:
    """Whether it asks for an ephemeral."""
    if isinstance(op, Multi):
        return any(map(makes_ephemeral, op.ops))
    return isinstance(op, Create) and op.flags in owners.EPHEMERAL
