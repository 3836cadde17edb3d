"""The file that a backup is: what is not exactly what was written is refused, before anything is done with it.

`MAGIC`, then frames: 4 bytes of length (big-endian), and that much of one value (`codec`). A frame of length 0 ends
them; then come the 32 bytes of the SHA-256 of everything before, and nothing else. The values, in order:

| value | what it is |
| --- | --- |
| ``["backup", version, made_ms, of]`` | the first one: format of the file, when (ms since the epoch), of what (a URL) |
| ``["namespace", name, number]`` | the nodes that follow are of this namespace |
| ``["node", path, node, family, data]`` | a node: `model.Node` without its data; `model.Family`; its data |
| ``["again", path, node, family, data]`` | instead of what was said of that path before |
| ``["gone", path]`` | nothing is there, whatever was said before |
| ``["point", zxid]`` | so the namespace was at this zxid; ends it |
"""

from __future__ import annotations

import hashlib
from typing import Any, BinaryIO, Iterator, List

from .. import codec
from ..errors import DeploymentError

MAGIC = b"fk_kazoo: a backup, 1\n"
VERSION = 1
MAX_FRAME_BYTES = 4 << 20
"""More than the largest node takes: it came in a request of 1 MB."""
_DIGEST_BYTES = 32


class NoBackup(DeploymentError):
    """The file is no backup, or not one as it was made."""


class Archive:
    """A backup that is being written to a file, value by value."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._put(MAGIC)

    def add(self, *value: Any) -> None:
        """Writes one value. OSError."""
        body = codec.dumps(value)
        if len(body) > MAX_FRAME_BYTES:
            raise ValueError("a value of %d bytes" % len(body))
        self._put(len(body).to_bytes(4, "big") + body)

    def end(self) -> None:
        """Nothing comes any more. OSError."""
        self._put(bytes(4))
        self._file.write(self._digest.digest())

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def values(file: BinaryIO) -> Iterator[List[Any]]:
    """The values of a backup from its beginning, one after the other. NoBackup where it is none or damaged, OSError.

    Whether all of it is as it was written is known only at the end: nothing may be done for good before.
    """
    file.seek(0)
    digest = hashlib.sha256()
    begins = file.read(len(MAGIC))
    if begins != MAGIC:
        raise NoBackup("it is no backup that this version of fk_kazoo can read")
    digest.update(begins)
    while True:
        size = int.from_bytes(_exactly(file, 4, digest), "big")
        if size > MAX_FRAME_BYTES:
            raise NoBackup("it is damaged")
        if not size:
            break
        body = _exactly(file, size, digest)
        try:
            value = codec.loads(body)
        except codec.Malformed as error:
            raise NoBackup("it is damaged") from error
        if not isinstance(value, list) or not value or not isinstance(value[0], str):
            raise NoBackup("it is damaged")
        yield value
    wanted = digest.digest()
    if file.read(_DIGEST_BYTES + 1) != wanted:
        raise NoBackup("it is damaged, or cut short: its checksum is another one")


def _exactly(file: BinaryIO, count: int, digest: Any) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise NoBackup("it is cut short")
    digest.update(data)
    return data
