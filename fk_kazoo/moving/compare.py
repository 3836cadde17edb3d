"""Two sides, node by node: data, ACL, kind where both tell it, and the counter, which must not be behind."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Sequence

from .apply import Progress, differences, no_progress
from .records import CONTAINER, EPHEMERAL, Endpoint, chunks

AT_ONCE = 256


class Difference(NamedTuple):
    """A path, and what is wrong there."""

    path: str
    what: str


def compare(
    source: Endpoint, destination: Endpoint, roots: Sequence[str], extra: bool = True, progress: Progress = no_progress
) -> Iterator[Difference]:
    """What differs, ephemerals apart. ``extra``: also what only the destination has. NoNodeError: no such root."""
    kinds = source.knows_kinds and destination.knows_kinds
    for some in chunks(source.walk(roots), AT_ONCE):
        some = [record for record in some if record.kind != EPHEMERAL]
        progress("nodes compared", len(some))
        for record, found in zip(some, destination.lookup([record.path for record in some])):
            if found is None:
                # A container that had children goes with the last of them, and ephemerals did not come along.
                if record.kind != CONTAINER or not record.creates:
                    yield Difference(record.path, "only in the source")
                continue
            for what in differences(record, found, kinds):
                yield Difference(record.path, what)
            if found.creates < record.creates:
                yield Difference(
                    record.path, "counter: %d in the source, %d in the destination" % (record.creates, found.creates)
                )
    if extra:
        there = [root for root, found in zip(roots, destination.lookup(roots)) if found is not None]
        for paths in chunks(destination.paths(there), AT_ONCE):
            for path, is_there in zip(paths, source.present(paths)):
                if not is_there:
                    yield Difference(path, "only in the destination")
