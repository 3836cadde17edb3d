"""Mistakes in what reaches the disk when, to be planted in a process of its own: none is taken back."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List

from fk_backend.functions.writer import Writer
from fk_backend.providers.local import database, host, outbox, statements, store
from fk_backend.providers.local.link import Link


def _without_fsync(of: Callable[[str], bool]) -> None:
    fsync = os.fsync

    def sometimes(descriptor: int) -> None:
        if not of(os.readlink("/proc/self/fd/%d" % descriptor)):
            fsync(descriptor)

    os.fsync = sometimes


def not_durable() -> None:
    """A commit does not wait for the disk."""
    connect = database.connect
    database.connect = lambda path, tables, durable, *more: connect(path, tables, False, *more)


def outbox_not_synced() -> None:
    """A new outbox takes the old one's place before it is on the disk."""
    _without_fsync(lambda path: path.endswith("outbox.log.new"))


def directories_not_synced() -> None:
    """A deployment has a name, and its files may have none."""
    _without_fsync(os.path.isdir)


def pushes_not_kept() -> None:
    """What was pushed is not kept before the next commit can happen."""
    host.Host._save = lambda self, kept: None  # type: ignore[method-assign]


def outbox_written_in_place() -> None:
    """The outbox is written anew over what it holds."""

    def rewrite(self: Any) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        at, parts = 0.0, [outbox.MAGIC, outbox.Record(outbox._EPOCH, self._seq >> 32, 0, 0.0, "", b"").encoded()]
        for inbox, kept in self._kept.items():
            parts.extend(outbox.Record(outbox._PUSH, *each[:2], at, inbox, each.body).encoded() for each in kept)
        self._size = outbox._write(self._file, b"".join(parts), 0)
        self._compact_at = self._size + outbox.COMPACT_BYTES

    outbox.Outbox._rewrite = rewrite  # type: ignore[method-assign]


def told_before_committed() -> None:
    """Who asked hears of it before it is committed."""
    tell = Writer._tell

    async def keep(self: Any, writes: List[Any], promise: Any) -> None:
        self.late = writes

    async def tell_and_commit(self: Any, *arguments: Any) -> None:
        late, self.late = getattr(self, "late", None), None
        await tell(self, *arguments)
        if late is not None:
            await self._ports.store.commit(late)

    Writer._commit, Writer._tell = keep, tell_and_commit  # type: ignore[method-assign]


def commits_in_pieces() -> None:
    """Every statement is a commit of its own."""

    def write_all(connection: Any, path: str, writes: Any, *more: Any) -> bool:
        return all(check(connection.execute(sql, values)) for sql, values, check in map(statements._part, writes))

    statements.write_all = store.write_all = write_all


def not_sent_again() -> None:
    """The next host is not asked what the last one had not answered."""
    introduce = Link._introduce

    def forget(self: Link, inboxes: List[str]) -> None:
        for inbox in inboxes:
            self._inboxes[inbox].unanswered.clear()
        introduce(self, inboxes)

    Link._introduce = forget  # type: ignore[method-assign]


MISTAKES: Dict[str, Callable[[], None]] = {
    mistake.__name__: mistake
    for mistake in (
        *(not_durable, outbox_not_synced, directories_not_synced, pushes_not_kept, outbox_written_in_place),
        *(told_before_committed, commits_in_pieces, not_sent_again),
    )
}


def plant(name: str) -> None:
    """Plants one; none if the name is empty."""
    if name:
        MISTAKES[name]()
