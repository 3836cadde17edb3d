"""The exception of the core.

Rule: inside the core a refusal is one exception that carries one protocol code, and none leaves `apply`.

`apply` turns it into a Result; `reads` lets it out, because a read has no other way to say no.
"""

from __future__ import annotations


class ZkError(Exception):
    """A request was refused with ``code``, one of :class:`~fk_backend.core.model.Error` (``KeeperException``)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
