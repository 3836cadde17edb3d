"""What runs a function: an execution environment, one invocation at a time.

Rule upheld here: an invocation ends, with a result or with `InvocationFailed`; an environment that is broken is never
used again.

An event is JSON (bytes), at most 6 MB, and so is the result.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, NamedTuple, Optional, Protocol, Tuple

EVENT_LIMIT = 6 * 1024 * 1024
"""Bytes of an event; AWS's limit for synchronous invocations."""


class Source(NamedTuple):
    """An event source mapping: a queue, and how batches of it are made and judged."""

    queue: str
    batch_size: int = 10
    report_failures: bool = True
    """ReportBatchItemFailures: the result names what failed."""


class Settings(NamedTuple):
    """A function as its template describes it."""

    name: str
    handler: str
    timeout_s: float = 3.0
    memory_mb: int = 128
    environment: Tuple[Tuple[str, str], ...] = ()
    sources: Tuple[Source, ...] = ()
    concurrency: int = 10
    """How many invocations run at once at most (reserved concurrency)."""
    recursive: bool = False
    """RecursiveLoop is Allow: however often it is invoked in one chain of requests."""
    every_s: float = 0.0
    """So often a schedule invokes it; 0: none does."""
    event: str = "{}"
    """What that invokes it with, as JSON."""


Log = Callable[[str, str], None]
"""Called with the function's name and a line that it printed."""


class InvocationFailed(Exception):
    """A function error. ``kind`` is AWS's errorType (``Sandbox.Timedout``, ``Runtime.ExitError``, an exception's name);
    ``answer`` the error as AWS returns it: errorType, errorMessage, and what the runtime adds."""

    def __init__(self, kind: str, message: str, answer: Optional[Dict[str, Any]] = None) -> None:
        super().__init__("%s: %s" % (kind, message))
        self.kind = kind
        self.answer = answer or {"errorType": kind, "errorMessage": message}

    @classmethod
    def reported(cls, answer: bytes) -> "InvocationFailed":
        """From what a runtime reports as an error."""
        try:
            told = json.loads(answer)
            return cls(str(told["errorType"]), str(told["errorMessage"]), told)
        except (ValueError, KeyError, TypeError):
            return cls("Runtime.Unknown", answer.decode(errors="replace"))


class Environment(Protocol):
    """One execution environment."""

    @property
    def broken(self) -> bool:
        """Whether it can't take another invocation: its process ended, or was ended at a timeout."""
        ...

    async def invoke(self, event: bytes, chain: str = "", alias: str = "") -> bytes:
        """The function's result. InvocationFailed; the environment may then still be good, see ``broken``.

        ``chain``: what the tracing header ends with, see `lineage`. ``alias``: by which it is invoked, if by one that
        the function has to know.
        """
        ...

    def kill(self) -> None:
        """Ends it at once, in the middle of what it does."""
        ...

    async def close(self) -> None:
        """Ends it."""
        ...


def timed_out(timeout_s: float) -> InvocationFailed:
    """The function ran for longer than it may."""
    return InvocationFailed("Sandbox.Timedout", "Task timed out after %.2f seconds" % timeout_s)
