"""The edge between the functions and the world. A provider is a set of these.

Each docstring says what is atomic, what is ordered, and what a raised error means. Two kinds of failure are
told apart everywhere: `Refused` and its kin are definite (nothing was done), `Unknown` is not (it was done, or not).
"""

from __future__ import annotations

from typing import (
    Any,
    Awaitable,
    Callable,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

from .core.model import Blob, Trigger
from .core.requests import Result
from .messages import Message, Position


class Key(NamedTuple):
    """Where an item is: ``table`` is one of TABLES; a ``partition`` is ordered by ``sort`` (as UTF-8 bytes)."""

    table: str
    partition: str
    sort: str


class Item(NamedTuple):
    """What is kept under a key: an integer that conditions can name, and bytes."""

    rev: int
    body: bytes


class Put(NamedTuple):
    """Write an item. ``expect`` is the ``rev`` it must have now; 0: it must be absent; None: whatever is there.

    ``owner`` tags an item of INTEREST for :meth:`Store.purge`.
    """

    key: Key
    item: Item
    expect: Optional[int] = None
    owner: str = ""


class Remove(NamedTuple):
    """Remove an item; with ``expect``, only the item that has that ``rev``. Removing what is absent is no error."""

    key: Key
    expect: Optional[int] = None


class Page(NamedTuple):
    """A stretch of one partition, in order. ``more`` says whether it goes on after the last row."""

    rows: List[Tuple[str, Item]]
    more: bool


class Listing(NamedTuple):
    """A stretch of one partition, in order: first rows, then sort keys alone, without the prefix that all of them have.

    ``more`` as a page's.
    """

    rows: List[Tuple[str, Item]]
    names: List[str]
    more: bool

    @classmethod
    def of(cls, page: Page, prefix: str) -> "Listing":
        """What a page shows up to `after` the prefix."""
        own = next((at for at, (sort, _) in enumerate(page.rows) if sort >= prefix), len(page.rows))
        return cls(page.rows[:own], [sort[len(prefix) :] for sort, _ in page.rows[own:]], page.more)


def after(prefix: str) -> str:
    """The first sort key behind all that begin with the prefix, whose last character is ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class Capabilities(NamedTuple):
    """What a provider declares of its deployments. All that tells providers apart is here: nobody asks for a scheme.

    The defaults are those of a store within reach of a call, which takes whatever is asked of it.
    """

    writes: int = 1_000_000
    """Of one commit."""
    commit_bytes: int = 1 << 30
    item_bytes: int = 1 << 30
    """Keys included."""
    partition_bytes: int = 1 << 20
    sort_bytes: int = 1 << 20
    recent_bytes: int = 400
    """What the head's recent triggers should take at most: where capacity is paid by the kilobyte, little."""
    message_bytes: int = 1 << 30
    """Of one message to the queue."""
    answer_bytes: int = 1 << 30
    """Of one note to an inbox: answers beyond that are refused."""

    atomic_queries: bool = True
    """One `Store.query` is a snapshot. If not, a reader has to check that nothing moved in between."""
    indexes_owners: bool = True
    """The store finds what an owner put: not where that would be paid for with every item that is put."""
    transactions_cost_double: bool = False
    """A commit of several writes costs more than the same writes one by one."""
    has_latency: bool = False
    """A request is on its way for so long that something else should be done meanwhile."""
    charges_for_beats: bool = False
    """Every beat is paid for: a session beats only while it owns something, and the heartbeat looks only at those."""


UNLIMITED = Capabilities()
"""Of a store that takes whatever is asked of it."""

STATE = "state"
"""Head and nodes. Functions write, clients read."""
SESSIONS = "sessions"
"""Sessions and what they own. Functions only."""
INTEREST = "interest"
"""Watch registrations and beats. Clients write; functions read and write. Need not survive a power cut."""
TABLES = (STATE, SESSIONS, INTEREST)


class Store(Protocol):
    """Versioned items in ordered partitions. Every read is strong: it sees all that was committed before it.

    Errors: `Conflict` (a condition did not hold, definite), `Refused` (the store will not take it, definite: disk
    full, read-only), `Unavailable` (not reached, definite), `Unknown` (it may have happened).
    """

    capabilities: Capabilities

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """The items, in the order of ``keys``, as one snapshot. All keys are of one table."""
        ...

    async def load(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """The items, in the order of ``keys``, of any tables: each as of some moment during the call. Each key once."""
        ...

    async def query(
        self, table: str, partition: str, start: str = "", end: Optional[str] = None, limit: int = 1000
    ) -> Page:
        """Rows with start <= sort < end in order, at most ``limit`` of them."""
        ...

    async def listing(self, table: str, partition: str, start: str, prefix: str, limit: int) -> Listing:
        """As a query from ``start`` to `after` the prefix, but of what begins with it only the names are wanted."""
        ...

    async def commit(self, writes: Sequence[object]) -> None:
        """Put and Remove, all or nothing. All keys are of STATE and SESSIONS, or all of INTEREST.

        When it returns, STATE and SESSIONS survive a power cut. A Remove whose ``expect`` does not hold is a Conflict,
        also if there is no item. A key named twice, or INTEREST mixed with another table, is a ValueError.
        """
        ...

    async def increment(self, key: Key, by: int = 1) -> int:
        """Adds to the item's ``rev`` (absent: 0) and returns the new value; atomic. The body is kept."""
        ...

    async def purge(self, table: str, owner: str) -> int:
        """Removes what was put in INTEREST with this owner tag; how many items. Not atomic; may be called again.

        Without `Capabilities.indexes_owners`, nothing: owners remove what they put, and the daily sweep the rest.
        """
        ...

    async def scan(
        self, table: str, prefix: str = "", after: Optional[Tuple[str, str]] = None, limit: int = 1000
    ) -> List[Tuple[Key, Item]]:
        """Items of partitions that start with ``prefix``, in order, after the (partition, sort) given. For upkeep.

        Fewer than ``limit``: they are the last ones.
        """
        ...


class Queue(Protocol):
    """FIFO by group, the client's end. Order within a group is the order of sends.

    Idempotent by message id: a message that was accepted is not accepted again. On the other end the
    provider calls the writer with a batch and redelivers it until the writer returns; messages after it wait,
    so only the last batch can ever come again.
    """

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """Returns when the message is safe with the queue. Unavailable: it was not taken. Unknown: send it again."""
        ...


class Pushed(NamedTuple):
    """Something for an inbox. ``upto``: with this, every request of the inbox numbered below it is answered."""

    inbox: str
    body: bytes
    upto: int = 0


class Inboxes(Protocol):
    """One per connection, for answers, events and notices. At least once, any order, any delay."""

    async def push(self, messages: Sequence[Pushed]) -> None:
        """Returns when every message will survive the death of the caller. To an inbox that is gone: dropped."""
        ...

    async def drop(self, inbox: str) -> None:
        """Removes the inbox and what is in it. Dropping it again is no error."""
        ...


class Clock(Protocol):
    """Time and randomness come in through here, so that a run can be replayed."""

    def now_ms(self) -> int:
        """Wall clock, ms since the epoch: for ctime and mtime only."""
        ...

    def monotonic(self) -> float:
        """Seconds; never goes back; for leases and timeouts.

        For a client that others judge while its machine is asleep, it goes on then.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after that time, by `monotonic`."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """For ids and passwords: nobody can guess them."""
        ...


class Blobs(Protocol):
    """Data that are too large for an item. What is kept is immutable, and read by clients.

    Errors: Unavailable and Unknown; Refused where what should be kept is not there.
    """

    inline_bytes: int
    """Data up to here are better kept in the item."""

    async def upload(self, ns: str, name: str, data: bytes) -> Blob:
        """Lays data down for the writer, by a client. The name is the client's own."""
        ...

    async def keep(self, ns: str, name: str, data: Union[bytes, Blob]) -> Blob:
        """Keeps data, or what a client has laid down, under a name that was never used before."""
        ...

    async def fetch(self, blob: Blob) -> Optional[bytes]:
        """What is kept; None if it is removed."""
        ...

    async def remove(self, keys: Sequence[str]) -> None:
        """Removes what is kept; what is gone is no error."""
        ...


class Timer(Protocol):
    """Wakes the heartbeat, where nobody runs it all the time."""

    async def wake(self, ns: str) -> None:
        """Has the heartbeat look after the namespace now, and from then on until it rests. May be called again: the
        latest call is the one that it goes on from.
        """
        ...


Push = Callable[[Sequence[Pushed]], Awaitable[None]]
"""As `Inboxes.push`."""
CommitAndLook = Callable[[Sequence[object], Sequence[str], bytes], Awaitable[Optional[List[Tuple[Key, Item]]]]]
"""Commits as `Store.commit` does; then, of the same request, all that these partitions of INTEREST hold, in order.

What was registered before others could see the commit is among it; the note has perhaps been pushed to who did so.
None: it is committed, and what is there could not be read, or is too much for one answer. Taken, a Conflict: nothing is
committed, since something is where a `Put`, not the first one, expects nothing.
"""


class Ports(NamedTuple):
    """What the functions are given."""

    store: Store
    inboxes: Inboxes
    queue: Queue
    clock: Clock
    timer: Optional[Timer] = None
    blobs: Optional[Blobs] = None
    commit_and_look: Optional[CommitAndLook] = None
    """Where one request does both."""
    events: Optional[Push] = None
    """By which a direct write tells who watches. Unavailable: some were not told, and the queue's writer tells all."""


class NullSender:
    """`Inboxes` and `Queue` of who sends nothing."""

    async def push(self, messages: Sequence[Pushed]) -> None:
        """`Inboxes.push`."""
        raise NotImplementedError

    async def drop(self, inbox: str) -> None:
        """`Inboxes.drop`."""
        raise NotImplementedError

    async def send(self, group: str, message_id: str, body: bytes) -> None:
        """`Queue.send`."""
        raise NotImplementedError


class AdminPorts(NamedTuple):
    """A deployment for whoever runs it: its store may be written to, and nothing is sent.

    ``namespaces``: those that anybody has written to. ``close``: gives it back.
    """

    ports: Ports
    namespaces: Callable[[], Awaitable[List[str]]]
    close: Callable[[], Awaitable[None]]


class Delivery(NamedTuple):
    """A message as the queue hands it over. ``internal``: the transport vouches that a function sent it."""

    body: bytes
    internal: bool
    position: Position = Position()


Handler = Callable[[str, Sequence[Delivery]], Awaitable[Any]]
"""What a provider's queue calls: the writer, with a group and a batch of messages in order."""


class Written(NamedTuple):
    """What a direct write came to: its answer, and what the head tells with which that is true.

    ``zxid`` is the head's; every trigger after ``since`` is in ``triggers``.
    """

    result: Result
    zxid: int
    since: int
    triggers: Tuple[Trigger, ...]


class Direct(Protocol):
    """The writer, called by who asks instead of by the queue: for a session of which nothing is on its way there.

    Whoever else writes at the same time is told apart by the condition on the head, as everywhere.
    """

    never_waits: bool
    """A call never waits: who has the event loop's turn may make it in any thread, and interrupt it anywhere.

    Then nothing is done before one step in which all of the commit is, and what is missing of the fan-out after an
    interruption is made good by `told`.
    """

    async def write(self, ns: str, message: "Message", key: bytes = b"") -> Optional[Written]:
        """Applies the message's one request, commits, and has everybody else told. Atomic as a commit.

        ``key``: the session's, which proves who sends it, where that is to be proved.

        None: it was not tried, because there is company; the queue is for that. `Refused` and its kin, Unavailable:
        definite, nothing was done and nothing will be, so it may be sent. Unknown: it may have been done or be done
        later, and nobody tries again or can tell: the session has to attach anew, which fences what is late.
        """
        ...

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """What tells, in one step, whether its caller has the event loop's turn: nothing is committed without it."""
        ...

    def finish_fan_out(self, ns: str) -> None:
        """Sees to it that the last commit is fanned out to its end. In the event loop, after a call was interrupted."""
        ...


class Gateway(Protocol):
    """The client's end of a provider: what a session needs."""

    address: Optional[str]
    """The IP address that this client is known by, where the transport knows it."""

    @property
    def store(self) -> Store:
        """What clients read, and where they register."""
        ...

    @property
    def queue(self) -> Queue:
        """Where writes go."""
        ...

    @property
    def clock(self) -> Clock:
        """By which a session beats, waits and gives up."""
        ...

    @property
    def blobs(self) -> Optional[Blobs]:
        """None: every item takes everything."""
        ...

    def inbox(self, ns: str, key: bytes, nonce: bytes) -> str:
        """What the next connection of the session with that key calls its inbox: a new name, see `mac.inbox_name`.

        Made with the nonce, unless the client has a queue from its last connection to that session.
        """
        ...

    @property
    def direct(self) -> Optional[Direct]:
        """None: every write goes to the queue."""
        ...

    async def listen(self, inbox: str, receive: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """Makes the inbox and has ``receive`` called, in this event loop, with everything pushed to it.

        ``lost`` is called with the reason when the transport knows that the deployment is out of reach for long.
        WentBack: it may not have what the session was answered for which the inbox is.
        """
        ...

    # A gateway may have ``take_pushed()``, where what is pushed comes another way than answers do: it has ``receive``
    # called with what is here already. An answer would else be shown before an event that was pushed before it.

    async def unsubscribe(self, inbox: str, keep: bool) -> None:
        """Stops listening. Without ``keep`` the inbox is removed; with it, what is in it stays until it is swept."""
        ...

    async def check(self) -> None:
        """Returns if writes can be taken now. Unavailable if not."""
        ...

    async def close(self) -> None:
        """Gives up the gateway. What listens is told that it is lost."""
        ...
