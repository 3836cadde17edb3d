"""Writes nodes into a ZooKeeper or a deployment: each at once, with its data, its ACL and its kind.

Requests are sent ahead of their answers, in order, so that a parent is there before its children. What is there already
and equal is left alone, which makes the same copy again go on where it was ended. Rule upheld here: counters are raised
to the source's after the nodes, by creating and deleting a child as often as needed, since neither ZooKeeper nor a
deployment has another way; a copy is done only when they are.
"""

from __future__ import annotations

import collections
import json
import tempfile
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from kazoo.exceptions import NodeExistsError, NoNodeError, NotEmptyError
from kazoo.security import ACL, Id

from fk_backend.core.model import Error
from fk_backend.errors import DeploymentError, Refused

from .client_endpoint import ClientEndpoint
from .records import CONTAINER, EPHEMERAL, PERSISTENT, TTL, Record, chunks, creates_of, join, parent_of

FAIL, SKIP, OVERWRITE = "fail", "skip", "overwrite"
ON_CONFLICT = (FAIL, SKIP, OVERWRITE)
AHEAD = 16
"""Requests that are on their way at the same time."""
WRITES = 96
"""Items that one request comes to, at most: on AWS a transaction holds 100, of which some are the head's."""
WRITES_OF_NODE, WRITES_OF_PARENT = 2, 1
"""Items of a node that is created, and of each node in which there is one."""
TOGETHER_BYTES = 64 << 10
"""Paths and data of one request."""
LOOKUPS = 500
"""Reads that are on their way at the same time."""
FILLER = "fk-kazoo-counter"
"""The child that is created and deleted to raise a counter. Nobody ever sees it: both are in one transaction."""
FILLS, FILLED = 80, 24
"""Times in one transaction, and of how many nodes."""
FILLS_AHEAD = 8

Progress = Callable[[str, int], None]
"""Told what was done, and how much more of it."""


class Conflicting(Refused):
    """A node of the destination differs, and it was not said what to do with it."""


class Counts(NamedTuple):
    """What a copy did, in nodes; ``raised``: how often counters were."""

    created: int
    equal: int
    skipped: int
    overwritten: int
    ephemerals: int
    raised: int


def no_progress(what: str, count: int) -> None:
    """Nobody is told."""


class Applier:
    """Writes records through a connected client. A context manager; ``spool`` is on disk, so memory does not grow."""

    def __init__(
        self,
        side: ClientEndpoint,
        on_conflict: str = FAIL,
        dry_run: bool = False,
        progress: Progress = no_progress,
        on_skipped: Callable[[str], None] = lambda path: None,
    ) -> None:
        self._endpoint = side
        self._client = side.client
        self._on_conflict = on_conflict
        self._dry_run = dry_run
        self._progress = progress
        self._on_skipped = on_skipped
        self._counts: "collections.Counter[str]" = collections.Counter()
        self._spool = tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass")
        self._pending: Deque[Tuple[List[Record], Any]] = collections.deque()
        self._unread: List[List[Record]] = []
        self._is_there = False
        """Whether the last one looked at was there already: then the next ones may be, too."""

    def __enter__(self) -> "Applier":
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    @property
    def counts(self) -> Counts:
        """So far."""
        return Counts(*(self._counts[field] for field in Counts._fields))

    def above(self, records: Iterable[Record]) -> None:
        """Nodes that only have to be there, because others are below them."""
        for record in records:
            if not self._dry_run and self._client.exists(record.path) is None:
                self._create_one(record)

    def apply(self, records: Iterable[Record]) -> None:
        """Writes them. Conflicting, and what kazoo raises: what was written until then stays, each node whole."""
        self._pending.clear()
        self._unread.clear()
        for some in _packed(self._without_ephemerals(records)):
            self._hand_on(some)
        self._look_up()
        while self._pending:
            self._receive(*self._pending.popleft())

    def _hand_on(self, some: List[Record]) -> None:
        """Creates them; looks them up first where those before them were there: creating in vain costs a commit."""
        if not self._is_there:
            self._begin(some)
            return
        self._unread.append(some)
        if len(self._unread) == AHEAD:
            self._look_up()

    def _look_up(self) -> None:
        waiting, self._unread = self._unread, []
        found = iter(self._endpoint.lookup([one.path for some in waiting for one in some]))
        for some in waiting:
            there = [next(found) for _ in some]
            if any(there):
                self._compare(some, there)
            else:
                self._is_there = False
                self._begin(some)

    def _begin(self, some: List[Record]) -> None:
        self._pending.append((some, None if self._dry_run else self._created(some)))
        if len(self._pending) > AHEAD:
            self._receive(*self._pending.popleft())

    def _without_ephemerals(self, records: Iterable[Record]) -> Iterator[Record]:
        """Without ephemerals; with the counters noted for the end."""
        for record in records:
            if record.kind == EPHEMERAL:
                self._counts["ephemerals"] += 1
                self._on_skipped(record.path)
                continue
            if record.creates:
                self._spool.write(json.dumps([record.path, record.creates]) + "\n")
            yield record

    def _created(self, some: List[Record]) -> Any:
        """The answers to their creation, all or nothing: one request is cheaper than many."""
        if some[0].path == "/":
            return None
        if len(some) == 1:
            return self._create(some[0])
        transaction = self._client.transaction()
        for record in some:
            transaction.create(record.path, record.data, acls_of(record))
        return transaction.commit_async()

    def _receive(self, some: List[Record], answer: Any) -> None:
        """What could not be created is there already, at least in part, or can't be: that is found out one by one."""
        try:
            good = answer is not None and not _failed(answer.get())
        except (NodeExistsError, NoNodeError):
            good = False
        except Exception as error:
            error.args = (*(error.args or ()), some[0].path)
            raise
        if good:
            self._count("created", len(some))
            return
        self._compare(some, self._endpoint.lookup([one.path for one in some]))

    def _create(self, record: Record) -> Any:
        client, acl = self._client, acls_of(record)
        if record.kind == PERSISTENT:
            return client.create_async(record.path, record.data, acl)
        if record.kind == CONTAINER:
            return _Done(lambda: client.create_container(record.path, record.data, acl))
        return _Done(lambda: client.create_ttl(record.path, record.ttl_ms, record.data, acl))

    # --- what is there already ------------------------------------------------------------------

    def _compare(self, records: Sequence[Record], there: Sequence[Optional[Record]]) -> None:
        self._is_there = there[-1] is not None
        for record, found in zip(records, there):
            if found is None:
                if not self._dry_run:
                    self._create_one(record)
                self._count("created")
            elif self._is_equal(record, found):
                self._count("equal")
            elif self._on_conflict == SKIP:
                self._count("skipped")
            elif self._on_conflict == OVERWRITE or (record.path == "/" and found.version == found.aversion == 0):
                if not self._dry_run:
                    self._overwrite(record, found)
                self._count("overwritten")
            else:
                raise Conflicting(
                    "%s is in the destination and differs: %s. --on-conflict skip leaves it, overwrite makes it as in "
                    "the source" % (record.path, ", ".join(differences(record, found, self._endpoint.knows_kinds)))
                )

    def _create_one(self, record: Record) -> None:
        try:
            self._create(record).get()
        except NoNodeError as error:
            raise DeploymentError(
                "%s: its parent is not there: not in the dump, or deleted meanwhile" % record.path
            ) from error
        except Exception as error:
            error.args = error.args or (record.path,)
            raise

    def _is_equal(self, record: Record, found: Record) -> bool:
        return not differences(record, found, self._endpoint.knows_kinds)

    def _overwrite(self, record: Record, found: Record) -> None:
        """ACL first: who may not read what comes never does. A node of another kind is made anew, in place."""
        path = record.path
        if found.kind == EPHEMERAL or (self._endpoint.knows_kinds and _kind(found) != _kind(record)):
            try:
                self._client.delete(path)
            except NotEmptyError as error:
                raise Conflicting("%s is of another kind in the destination, and has children" % path) from error
            self._create(record).get()
            return
        if found.acl != record.acl:
            self._client.set_acls(path, acls_of(record))
        if found.data != record.data:
            self._client.set(path, record.data)

    def _count(self, what: str, nodes: int = 1) -> None:
        self._counts[what] += nodes
        self._progress("nodes", nodes)

    # --- counters -------------------------------------------------------------------------------

    def finish(self) -> Counts:
        """Raises the counters of all that was applied."""
        if not self._dry_run:
            self._spool.seek(0)
            for some in chunks(map(json.loads, self._spool), LOOKUPS):
                self.raise_counters(dict(map(tuple, some)))
            self._spool.seek(0, 2)
        return self.counts

    def raise_counters(self, wanted: Dict[str, int]) -> None:
        """Path → how many children it ever had in the source."""
        missing: Dict[str, int] = {}
        for (path, creates), stat in zip(wanted.items(), self._endpoint.stats(list(wanted))):
            if stat is not None and creates_of(stat) < creates and not stat.ephemeralOwner:
                missing[path] = creates - creates_of(stat)
        pending: Deque[Tuple[int, Any]] = collections.deque()
        for some in _fillings(missing):
            pending.append((sum(count for _, count in some), self._filled(some)))
            if len(pending) == FILLS_AHEAD:
                self._resolve_filled(*pending.popleft())
        while pending:
            self._resolve_filled(*pending.popleft())

    def _filled(self, some: Sequence[Tuple[str, int]]) -> Any:
        transaction = self._client.transaction()
        for path, count in some:
            for _ in range(count):
                transaction.create(join(path, FILLER))
                transaction.delete(join(path, FILLER))
        return transaction.commit_async()

    def _resolve_filled(self, count: int, answer: Any) -> None:
        _checked(answer.get())
        self._counts["raised"] += count
        self._progress("counters", count)

    # --- one by one, for a mirror ---------------------------------------------------------------

    def remove(self, path: str) -> int:
        """Deletes a node and all below it; how many nodes."""
        if self._dry_run:
            return 1
        return remove_tree(self._client, path)


def remove_tree(client: Any, path: str, itself: bool = True) -> int:
    """Deletes what is below a node, and the node, children first; how many. Nothing there is no error."""
    count = 0
    try:
        names = client.get_children(path)
    except NoNodeError:
        return 0
    below = [join(path, name) for name in names if join(path, name) != "/zookeeper"]
    for some in chunks(below, LOOKUPS):
        again: List[str] = []
        for one, answer in [(one, client.delete_async(one)) for one in some]:
            try:
                answer.get()
                count += 1
            except NoNodeError:
                pass
            except NotEmptyError:
                again.append(one)
        for one in again:
            count += remove_tree(client, one)
    if itself:
        try:
            client.delete(path)
            count += 1
        except NoNodeError:
            pass
    return count


def _packed(records: Iterable[Record]) -> Iterator[List[Record]]:
    """What can be created by one request: persistent nodes with data, if they are not much."""
    now: List[Record] = []
    parents: Set[str] = set()
    size = 0
    for record in records:
        alone = record.kind != PERSISTENT or record.data is None or record.path == "/"
        parent, bytes_ = parent_of(record.path), len(record.path) + len(record.data or b"")
        writes = WRITES_OF_NODE * (len(now) + 1) + WRITES_OF_PARENT * len(parents | {parent})
        if now and (alone or writes > WRITES or size + bytes_ > TOGETHER_BYTES):
            yield now
            now, parents, size = [], set(), 0
        if alone:
            yield [record]
        else:
            now.append(record)
            parents.add(parent)
            size += bytes_
    if now:
        yield now


def _fillings(missing: Dict[str, int]) -> Iterator[List[Tuple[str, int]]]:
    """What one transaction each raises: paths, and by how much."""
    now: List[Tuple[str, int]] = []
    room = FILLS
    for path, left in missing.items():
        while left:
            count = min(left, room)
            now.append((path, count))
            left, room = left - count, room - count
            if not room or len(now) == FILLED:
                yield now
                now, room = [], FILLS
    if now:
        yield now


def _failed(results: Any) -> bool:
    """Of a transaction's answer, or a single creation's."""
    return isinstance(results, list) and any(isinstance(one, Exception) for one in results)


def acls_of(record: Record) -> List[Any]:
    """As kazoo has them."""
    return [ACL(perms, Id(scheme, name)) for perms, scheme, name in record.acl]


def differences(wanted: Record, found: Record, kinds: bool) -> List[str]:
    """What differs of two nodes; the kind only where it can be told."""
    different = []
    if (wanted.data or b"") != (found.data or b""):
        different.append("data")
    if sorted(wanted.acl) != sorted(found.acl):
        different.append("ACL")
    if (kinds and _kind(wanted) != _kind(found)) or (found.kind == EPHEMERAL) != (wanted.kind == EPHEMERAL):
        different.append("kind")
    return different


def _kind(record: Record) -> Tuple[str, int]:
    return record.kind, record.ttl_ms if record.kind == TTL else 0


def _checked(results: Iterable[Any]) -> None:
    for one in results:
        if isinstance(one, Exception) and getattr(one, "code", 0) != Error.RUNTIME_INCONSISTENCY:
            raise one


class _Done:
    """What was answered already, in the shape of what is not yet."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._error: Optional[Exception] = None
        try:
            call()
        except Exception as error:
            self._error = error

    def get(self) -> None:
        """Raises what the call raised."""
        if self._error is not None:
            raise self._error
