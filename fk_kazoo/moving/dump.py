"""A dump file: gzip (RFC 1952) of JSON lines (an object in each line, UTF-8), so that ``zcat`` and ``jq`` read it.

The first line is ``{"format": "fk-kazoo dump", "version": 1, "source": URL, "paths": what was
copied, "made_ms": ms since the epoch}``. Then a line for each node, parents before their children; what is above
the paths comes along:

| field | what it is |
| --- | --- |
| ``path`` | below the chroot of the source's URL |
| ``data`` | base64; null where the node has none |
| ``acl`` | list of ``[permissions (1 read, 2 write, 4 create, 8 delete, 16 admin), scheme, id]`` |
| ``kind`` | ``persistent``, ``container`` or ``ttl``; ephemerals are not in a dump |
| ``ttl_ms`` | of a ``ttl`` node, else 0 |
| ``creates`` | how many children were ever created in it: the next sequential child has at least this number |

The last line is ``{"end": true, "nodes": number of nodes}``. What has no such line is cut short, and is refused.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import json
import sqlite3
import time
import zlib
from typing import Any, Iterator, List, Optional, Sequence

from kazoo.exceptions import NoNodeError

from fk_backend.core import paths as valid
from fk_backend.errors import DeploymentError
from fk_kazoo.files import atomic_file

from .records import CONTAINER, PERSISTENT, TTL, Record, chunks, is_below

FORMAT, VERSION = "fk-kazoo dump", 1


class NoDump(DeploymentError):
    """The file is no dump, or not one as it was made."""


class DumpWriter:
    """What writes nodes down. `writing` makes it."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self.nodes = 0

    def add(self, record: Record) -> None:
        """Writes a node down."""
        data = None if record.data is None else base64.b64encode(record.data).decode("ascii")
        fields = {"path": record.path, "data": data, "acl": record.acl, "kind": record.kind, "ttl_ms": record.ttl_ms}
        self.line({**fields, "creates": record.creates})
        self.nodes += 1

    def line(self, value: Any) -> None:
        """One object."""
        self._file.write(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")


@contextlib.contextmanager
def writing(path: str, source: str, roots: Sequence[str]) -> Iterator[DumpWriter]:
    """A dump that has its name when it is whole; only its owner may read it. OSError."""
    with atomic_file(path, over=True) as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        writer = DumpWriter(file)
        first = {"format": FORMAT, "version": VERSION, "source": source, "paths": list(roots)}
        writer.line({**first, "made_ms": int(time.time() * 1000)})
        yield writer
        writer.line({"end": True, "nodes": writer.nodes})


class DumpEndpoint:
    """A dump as a side of a copy. All of it is looked at before anything of it is used. NoDump, OSError."""

    knows_kinds = True

    def __init__(self, path: str) -> None:
        self.path = path
        self.roots: List[str] = ["/"]
        """What was copied into it."""
        self.nodes = sum(1 for _ in self._records())
        self._index: Optional[sqlite3.Connection] = None

    def walk(self, roots: Sequence[str]) -> Iterator[Record]:
        """`Endpoint.walk`."""
        missing = set(roots)
        for record in self._records():
            missing.discard(record.path)
            if any(is_below(record.path, root) for root in roots):
                yield record
        if missing:
            raise NoNodeError(min(missing))

    def paths(self, roots: Sequence[str]) -> Iterator[str]:
        """`Endpoint.paths`."""
        return (record.path for record in self.walk(roots))

    def present(self, paths: Sequence[str]) -> List[bool]:
        """`Endpoint.present`."""
        return [one is not None for one in self.lookup(paths)]

    def lookup(self, paths: Sequence[str]) -> List[Optional[Record]]:
        """`Endpoint.lookup`: by an index on disk, which is made when it is first needed."""
        if self._index is None:
            self._index = self._indexed()
        found = []
        for path in paths:
            row = self._index.execute("SELECT line FROM nodes WHERE path = ?", (path,)).fetchone()
            found.append(None if row is None else self._record(json.loads(row[0])))
        return found

    def _indexed(self) -> sqlite3.Connection:
        index = sqlite3.connect("")  # a temporary file of SQLite's own
        index.execute("CREATE TABLE nodes (path TEXT PRIMARY KEY, line TEXT) WITHOUT ROWID")
        for some in chunks(self._lines(), 1000):
            index.executemany("INSERT OR REPLACE INTO nodes VALUES (?, ?)", [(v["path"], json.dumps(v)) for v in some])
        return index

    def _records(self) -> Iterator[Record]:
        return map(self._record, self._lines())

    def _lines(self) -> Iterator[Any]:
        """The nodes' lines."""
        count, ended = -1, False
        try:
            with gzip.open(self.path, "rb") as file:
                for line in file:
                    value = json.loads(line)
                    if ended or not isinstance(value, dict):
                        raise self._bad("it is damaged")
                    if count < 0:
                        self._check_first(value)
                    elif value.get("end"):
                        ended = True
                        if value.get("nodes") != count:
                            raise self._bad("it is damaged: nodes are missing")
                    else:
                        yield value
                    count += 1
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._bad("it is no dump" if count < 0 else "it is damaged") from error
        except EOFError as error:
            raise self._bad("it is cut short") from error
        except ValueError as error:
            raise self._bad("it is no dump" if count < 0 else "it is damaged") from error
        if not ended:
            raise self._bad("it is cut short" if count >= 0 else "it is no dump")

    def _check_first(self, value: Any) -> None:
        if value.get("format") != FORMAT or not isinstance(value.get("version"), int):
            raise self._bad("it is no dump")
        if value["version"] > VERSION:
            raise self._bad("a later version of fk_kazoo made it: upgrade this one")
        if not isinstance(value.get("paths"), list) or not all(map(valid.is_valid, value["paths"])):
            raise self._bad("it is damaged")
        self.roots = value["paths"]

    def _record(self, value: Any) -> Record:
        try:
            data = None if value["data"] is None else base64.b64decode(value["data"], validate=True)
            acl = tuple((int(perms), str(scheme), str(name)) for perms, scheme, name in value["acl"])
            record = Record(value["path"], data, acl, value["kind"], int(value["ttl_ms"]), int(value["creates"]))
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise self._bad("it is damaged") from error
        if (
            not valid.is_valid(record.path)
            or record.kind not in (PERSISTENT, CONTAINER, TTL)
            or not 0 <= record.creates < 1 << 31
            or not int(record.kind == TTL) <= record.ttl_ms < 1 << 40
            or not acl
            or not all(0 <= perms < 32 for perms, _, _ in acl)
        ):
            raise self._bad("it is damaged")
        return record

    def _bad(self, why: str) -> NoDump:
        return NoDump("%s: %s" % (self.path, why))
