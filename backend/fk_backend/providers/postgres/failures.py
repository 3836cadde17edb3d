"""What the server or the driver says went wrong, in this package's own words: above all whether it happened.

A statement that fails with an ERROR was rolled back. What ends the connection, or the server, in the middle of one
leaves it unknown. SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ...errors import (
    BackendError,
    Conflict,
    DeploymentError,
    NoPermission,
    NotADeployment,
    NotAllowed,
    StorageFull,
    TooLarge,
    Unavailable,
    Unknown,
)
from .schema import CONFLICT, DEPOSED


class Deposed(Unavailable):
    """Another process is the writer now: nothing was done."""


DRIVER = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, asyncio.TimeoutError)
"""What the driver raises where it is no bug of ours: an internal error, too, if a server's last words came before."""
_ENDS = ("57P01", "57P02", "57P03", "57P05", "25P03", "08000", "08003", "08006", "08007", "XX000")
"""The server or the connection came to its end."""
_AT_THE_END = ("53", "54", "58")
"""Of an error outside of our functions: so notifications fail when a transaction ends, maybe one behind a commit."""


def explain(error: Any, writing: bool) -> Exception:
    """The error in our words; what is a bug of ours stays as it is."""
    code = str(getattr(error, "sqlstate", "") or "")
    text = "PostgreSQL: %s" % (error or type(error).__name__)
    if code == CONFLICT:
        return Conflict(text)
    if code == DEPOSED:
        return Deposed("another process is the writer now")
    if not code or code in _ENDS:
        if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, asyncpg.PostgresError):
            return Unavailable(text)  # it was closed before anything was sent
        return Unknown(text) if writing else Unavailable(text)
    if code == "42501":
        return NotAllowed(text)
    if writing and code[:2] in _AT_THE_END and not getattr(error, "context", None):
        return Unknown(text)
    if code in ("53100", "53400"):
        return StorageFull(text)
    if code[:2] == "54":
        return TooLarge(text)
    if code in ("3F000", "42P01", "42883"):
        return NotADeployment("%s; was it removed? Set it up again: fk-kazoo init URL" % text)
    if code in ("25006", "57014", "40001", "40P01", "55P03") or code[:2] == "53":
        return Unavailable(text)
    return error if isinstance(error, Exception) else Unknown(text)


def at_connect(error: Any, place: str) -> BackendError:
    """Of who wants a connection: what to do about it, where that is not to try again."""
    code = str(getattr(error, "sqlstate", "") or "")
    text = "%s: %s" % (place, error or type(error).__name__)
    if isinstance(error, BackendError):
        return error
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return Unavailable("%s: none of the servers is the primary" % place)
    if code[:2] == "28":
        return NoPermission("%s; give the password in PGPASSWORD or in the file ~/.pgpass" % text)
    if code == "3D000":
        return NotADeployment("%s; create the database, then run: fk-kazoo init URL" % text)
    if code == "42501":
        return NoPermission("%s; let this role use it: fk-kazoo init URL --role ROLE" % text)
    if isinstance(error, (asyncpg.ClientConfigurationError, ValueError)):
        return DeploymentError(text)
    return Unavailable(text)
