"""Reads and prints sizes, durations, ACLs and data as people write them.

Rule upheld here: what can't be understood is a usage error that says what can.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Dict, List

import click

from fk_kazoo.files import atomic_file

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]  # generic for the types' sake, in later releases alone
else:
    ParamType = click.ParamType

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?")
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MOST_MS = (1 << 40) - 1
"""ZooKeeper's longest TTL (EphemeralType.TTL.maxValue)."""
PERMS = {"r": 1, "w": 2, "c": 4, "d": 8, "a": 16}
SHOWN = "cdrwa"
"""The order in which ZooKeeper's own tools show permissions."""


MOST_VERSION = (1 << 31) - 1
"""ZooKeeper's versions are 32 bits. What is more can't be sent: it would end kazoo's connection, with a traceback."""
VERSION = click.IntRange(-1, MOST_VERSION)


class Size(ParamType):
    """``100k``, ``5m``, ``1.5g``: bytes, ``most`` at most."""

    name = "size"

    def __init__(self, most: int = 1 << 40) -> None:
        self._most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Bytes."""
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(value.strip())
        if not found:
            self.fail("%r is no size; write 500, 100k, 5m or 1g" % value, param, ctx)
        bytes_ = float(found[1]) * _FACTORS[found[2].lower()]
        if bytes_ > self._most:
            self.fail("%r is more than can be: at most %s" % (value, size(self._most)), param, ctx)
        return int(bytes_)


class Duration(ParamType):
    """``500ms``, ``30s``, ``5m``, ``2h``, ``1d``: milliseconds. A number alone is seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Milliseconds."""
        if isinstance(value, int):
            return value
        found = _DURATION.fullmatch(value.strip())
        if not found:
            self.fail("%r is no duration; write 500ms, 30s, 5m, 2h or 1d" % value, param, ctx)
        ms = float(found[1]) * _UNITS_MS[found[2] or "s"]
        if ms > MOST_MS:
            self.fail("%r is longer than can be" % value, param, ctx)
        return int(ms)


def size(count: float) -> str:
    """As people read it: ``812 B``, ``1.2 kB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1024:
            return "%d B" % count if unit == "B" else "%.1f %s" % (count, unit)
        count /= 1024
    return "%.1f GB" % count


def counted(count: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return "%d %s%s" % (count, noun, "" if count == 1 else "s")


def echo(text: str, nl: bool = True, err: bool = False) -> None:
    """Prints it. On a terminal, nothing that is stored in it drives the terminal; a pipe gets it as it is."""
    live = (sys.stderr if err else sys.stdout).isatty()
    click.echo(printable(text, "\n\t") if live else text, nl=nl, err=err)


def printable(text: str, kept: str = "") -> str:
    """With escapes where there are characters that do something, such as ESC, or change the direction of writing."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in kept else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )


def acls(text: str) -> List[Any]:
    """``world:anyone:r,digest:user:HASH:cdrwa,password:user:secret:rw`` as kazoo's ACLs. ``password`` is hashed."""
    return [_acl(entry.strip()) for entry in text.split(",")]


def _acl(entry: str) -> Any:
    from kazoo.security import ACL, Id, make_digest_acl_credential

    scheme, _, rest = entry.partition(":")
    name, _, letters = rest.rpartition(":")
    if not scheme or not rest or (name == "" and scheme != "auth") or not set(letters) <= set(PERMS) or not letters:
        raise click.UsageError(
            "%r is no ACL: write SCHEME:ID:PERMISSIONS, permissions of %s, as in world:anyone:r, "
            "password:USER:PASSWORD:cdrwa or ip:10.0.0.0/8:rw" % (entry, SHOWN)
        )
    if scheme == "password":
        user, _, secret = name.partition(":")
        scheme, name = "digest", make_digest_acl_credential(user, secret)
    return ACL(sum(PERMS[letter] for letter in set(letters)), Id(scheme, name))


def acl_text(perms: int, scheme: str, name: str) -> str:
    """One entry as `acls` reads it."""
    return "%s:%s:%s" % (scheme, name, "".join(letter for letter in SHOWN if perms & PERMS[letter]))


def write_whole(path: str, data: bytes) -> None:
    """Into a file, all of it or nothing: what is there stays as it is if there is no room. OSError."""
    if os.path.lexists(path) and not os.path.isfile(path):  # a pipe, a terminal
        with open(path, "wb") as there:
            there.write(data)
        return
    path = os.path.realpath(path)
    mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666 & ~_umask()
    with atomic_file(path, over=True, mode=mode) as file:
        file.write(data)


def _umask() -> int:
    """Of this process: there is no way to look at it but to set it."""
    before = os.umask(0o077)
    os.umask(before)
    return before


def data_fields(data: Any) -> Dict[str, Any]:
    """Of a node's data in JSON: ``data`` as text, or ``base64`` where it is no UTF-8. Null where there are none."""
    if data is None:
        return {"data": None}
    try:
        return {"data": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}
