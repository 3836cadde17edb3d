"""TypeErrors for arguments that kazoo refuses, in kazoo's words."""

from __future__ import annotations

import inspect
from typing import Any

from kazoo.security import ACL


def path(given: Any) -> None:
    """A path."""
    if not isinstance(given, str):
        raise TypeError("Invalid type for 'path' (string expected)")


def value(given: Any) -> None:
    """Data of a node."""
    if not isinstance(given, bytes):
        raise TypeError("Invalid type for 'value' (must be a byte string)")


def version(given: Any) -> None:
    """A version to compare with."""
    if not isinstance(given, int):
        raise TypeError("Invalid type for 'version' (int expected)")


def acl(given: Any) -> None:
    """A list of ACLs; none is good."""
    if given and (isinstance(given, ACL) or not isinstance(given, (tuple, list))):
        raise TypeError("Invalid type for 'acl' (acl must be a tuple/list of ACL's)")


def watch(given: Any) -> None:
    """A watch function; none is good."""
    if given and not callable(given):
        raise TypeError("Invalid type for 'watch' (must be a callable)")
    not_awaited("watch", given)


def not_awaited(name: str, given: Any) -> None:
    """A function that is called, and of which nothing is awaited: a coroutine function would never run."""
    if inspect.iscoroutinefunction(given):
        raise TypeError(
            "Invalid type for '%s' (a coroutine function would never be awaited: use an async iterator, or DataWatch"
            " and ChildrenWatch)" % name
        )


def flags(**given: Any) -> None:
    """Booleans."""
    for name, flag in given.items():
        if not isinstance(flag, bool):
            raise TypeError("Invalid type for '%s' (bool expected)" % name)


def text(name: str, given: Any) -> None:
    """Any other text."""
    if not isinstance(given, str):
        raise TypeError("Invalid type for '%s' (string expected)" % name)
