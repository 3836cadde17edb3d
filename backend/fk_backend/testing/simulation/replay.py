"""The witness: every accepted message, in the order of the queue and once, through the model. Reads are looked up.

What the model can't judge (whether an expiry or a reaping was due) it takes from the commits, and a check of its own
judges that.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from ...core.model import Error
from ...core.requests import StopTicking
from ...core.watches import RECURSIVE
from ...session.ops import WRITES, AddWatch, Exists, GetAcl, GetChildren, GetData
from ...writer.senders import COMBINED
from . import committed
from .client import Asked, ConnectionStarted, Said
from .model import ADMIN, READ, Model, OrderedAnswer, permitted
from .ports import Commit
from .run import NS, History, poisonous
from .world import Entry


class CallRecord(NamedTuple):
    """One op of a connection, with when it was asked and answered, as steps of the log."""

    conn: str
    client: str
    tag: int
    op: Any
    asked: int
    answered: Optional[int]
    result: Any
    number: int
    """Of the request in its connection; 0 for what is not a write."""


class ConnectionRecord(NamedTuple):
    """One connection: its session, and everything it said, in order: (step, tag, value)."""

    name: str
    client: str
    begun: int
    session: int
    attached: bool
    stolen: bool
    said: List[Tuple[int, int, Any]]


class Done(NamedTuple):
    """A request as the witness saw it."""

    inbox: str
    number: int
    session: int
    request: Any
    told: OrderedAnswer
    accepted: int


class Replay:
    """A history with its witness."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.log = history.log
        self.commits: List[Tuple[Entry, Commit]] = [(e, e.value) for e in self.log if e.what == "commit"]
        self.committed_at: Dict[int, int] = {}
        """Zxid → step of the commit that made it true."""
        kept = {entry.value: entry.step for entry in reversed(self.log) if entry.what == "kept"}
        self.voids: Set[int] = set()
        """Zxids that were promised to a change that never came."""
        void_at: Dict[int, int] = {}
        self.commit_of: Dict[int, Commit] = {}
        for entry, commit in self.commits:
            for zxid in range(commit.before + 1, commit.after + 1):
                self.commit_of[zxid] = commit
                if not committed.promises(commit.writes, NS):
                    self.committed_at.setdefault(zxid, entry.step)
                elif zxid in kept:
                    self.committed_at.setdefault(zxid, kept[zxid])
            if commit.before == commit.after or _is_of_nothing(commit):
                self.voids.add(commit.after)
                void_at.setdefault(commit.after, entry.step)  # two writers may void the same promise
        self.model = Model(self._namespace_id())
        self.done: Dict[Tuple[str, int], Done] = {}
        self.order: List[Done] = []
        self._replay(void_at if history.plan.knobs.taken_by_commit else {})
        self._steps, self._heads = self._heads_by_step()
        self.conns = self._conns()
        self.call_records = self._call_records()

    def death(self, conn: ConnectionRecord) -> Optional[int]:
        """The step at which the process of a connection died; None if it lived on."""
        own = (e for e in self.log[conn.begun :] if e.what == "died" and e.who.startswith(conn.client + "."))
        died = next(own, None)
        return None if died is None else died.step

    def _namespace_id(self) -> int:
        heads = (committed.head_in(commit.writes, NS) for _, commit in self.commits)
        return next((head.namespace_id for head in heads if head is not None), 0)

    # --- the witness ----------------------------------------------------------------------------

    def _replay(self, void_at: Dict[int, int]) -> None:
        """``void_at``: when a zxid became void, where that is no later than what comes after it was taken."""
        seen: Set[Tuple[str, int]] = set()
        reported = self._reported()
        failed = {entry.value for entry in self.log if entry.what == "failed"}
        for entry in self.log:
            if entry.what != "accepted" and not (entry.what == "looked" and entry.step in failed):
                continue
            message = entry.value
            aside = self.history.plan.knobs.poison and any(map(poisonous, message.requests))
            for number, request in enumerate(message.requests, message.first):
                if (message.inbox, number) in seen:
                    continue
                seen.add((message.inbox, number))
                if aside:
                    told = OrderedAnswer(Error.DEAD_LETTERED, None, 0, self.model.position)
                    self.done[message.inbox, number] = Done(
                        message.inbox, number, message.session, request, told, entry.step
                    )
                    continue
                while self.model.zxid + 1 in self.voids and void_at.get(self.model.zxid + 1, -1) < entry.step:
                    self.model.skip()
                commit = self._commit_of(self.model.zxid + 1)
                now_ms = 0 if commit is None else commit.now_ms
                done_so, zxid = reported.get((message.inbox, number), (False, 0))
                happens = zxid == self.model.zxid + 1 if isinstance(request, StopTicking) else done_so
                told = self.model.step(message.session, message.inbox, request, now_ms, happens)
                done = Done(message.inbox, number, message.session, request, told, entry.step)
                self.done[message.inbox, number] = done
                self.order.append(done)
        while self.model.zxid + 1 in void_at:
            self.model.skip()

    def _commit_of(self, zxid: int) -> Optional[Commit]:
        return self.commit_of.get(zxid)

    def _reported(self) -> Dict[Tuple[str, int], Tuple[bool, int]]:
        """Requests of the heartbeat as the heads answer them: whether it says that they took effect, and as of when."""
        found: Dict[Tuple[str, int], Tuple[bool, int]] = {}
        for _, commit in self.commits:
            head = committed.head_in(commit.writes, NS)
            for inbox, first, results in () if head is None else head.answers:
                for number, result in enumerate(results, first):
                    found[inbox, number] = result[1] is True, result[2]
        return found

    # --- what was asked and said ----------------------------------------------------------------

    def _conns(self) -> Dict[str, ConnectionRecord]:
        found: Dict[str, ConnectionRecord] = {}
        for entry in self.log:
            if entry.what == "begun":
                begun: ConnectionStarted = entry.value
                attached = begun.attached is not None
                found[begun.conn] = ConnectionRecord(
                    begun.conn, entry.who, entry.step, begun.session, attached, begun.stolen, []
                )
            elif entry.what == "said":
                said: Said = entry.value
                if said.conn in found:
                    found[said.conn].said.append((entry.step, said.tag, said.value))
        return found

    def _call_records(self) -> List[CallRecord]:
        answers = {
            (entry.value.conn, entry.value.tag): entry
            for entry in reversed(self.log)
            if entry.what == "said" and entry.value.tag > 0
        }
        numbers: Dict[str, int] = {}
        found: List[CallRecord] = []
        for entry in self.log:
            if entry.what != "asked":
                continue
            asked: Asked = entry.value
            number = 0
            if isinstance(asked.op, AddWatch) and asked.op.mode == RECURSIVE:
                numbers[asked.conn] = numbers.get(asked.conn, 0) + 1  # the session itself asks for something first
            if isinstance(asked.op, WRITES):
                number = numbers[asked.conn] = numbers.get(asked.conn, 0) + 1
            answer = answers.get((asked.conn, asked.tag))
            at, result = (None, None) if answer is None else (answer.step, answer.value.value)
            found.append(CallRecord(asked.conn, entry.who, asked.tag, asked.op, entry.step, at, result, number))
        return found

    def head_at(self, step: int) -> int:
        """The highest zxid that was committed by then."""
        found = bisect_right(self._steps, step)
        return self._heads[found - 1] if found else 0

    def _heads_by_step(self) -> Tuple[List[int], List[int]]:
        """Steps in order, and the highest zxid that was committed by each."""
        by_step = sorted((at, zxid) for zxid, at in self.committed_at.items())
        return [at for at, _ in by_step], list(accumulate((zxid for _, zxid in by_step), max))


def _is_of_nothing(commit: Commit) -> bool:
    """Whether it only says that requests are done with which changed nothing."""
    head = committed.head_in(commit.writes, NS)
    if len(commit.writes) > 1 or head is None or commit.after != commit.before + 1 or head.reserved is not None:
        return False
    results = [result for inbox, _, results in head.answers if not inbox.startswith(COMBINED) for result in results]
    return bool(results) and all(result[2] <= commit.before for result in results)


def read(tree: Any, op: Any, identities: Any) -> Tuple[int, Any]:
    """What a read shows of a tree."""
    node = tree.get(op.path)
    if node is None:
        return Error.NO_NODE, None
    if isinstance(op, Exists):
        return Error.OK, node.stat()
    if isinstance(op, GetAcl):
        if not permitted(node.acl, READ | ADMIN, identities):
            return Error.NO_AUTH, None
        masks = not permitted(node.acl, ADMIN, identities)
        shown = tuple(
            e._replace(id=e.id.split(":")[0] + ":x") if masks and e.scheme == "digest" else e for e in node.acl
        )
        return Error.OK, (shown, node.stat())
    if not permitted(node.acl, READ, identities):
        return Error.NO_AUTH, None
    if isinstance(op, GetData):
        return Error.OK, (node.data, node.stat())
    assert isinstance(op, GetChildren)
    return Error.OK, (sorted(node.children), node.stat())


def plain(value: Any) -> Any:
    """Tuples as lists, all the way down: what travelled as JSON compared with what did not."""
    if not isinstance(value, (tuple, list)):
        return value
    return [plain(part) if isinstance(part, (tuple, list)) else part for part in value]
