"""What a call does to the store and the queue: computed once for each state of them, by the store that ships."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

from ...messages import Position, decode
from ...ports import Delivery, Listing, Page
from ...providers.memory.store import MemoryStore
from .isolated import Ask, Failed
from .plan import Knobs
from .ports import Deployment
from .run import NS
from .world import Process, World


class Numbers:
    """Every value once, and by its number."""

    def __init__(self) -> None:
        self.values: List[Any] = []
        self._numbers: Dict[Any, int] = {}

    def of(self, value: Any) -> int:
        """The number of a value that can be hashed."""
        return self.under(value, value)

    def under(self, key: Any, value: Any) -> int:
        """The number of a value that is the same as others of its key."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.values)
            self.values.append(value)
        return number


class Effect(NamedTuple):
    """The state after it, the number of what came of it, and what is to be written down."""

    after: int
    outcome: int
    notes: Tuple[int, ...]


class Effects:
    """States of the store and of the queue, by number, and what calls make of them."""

    def __init__(self, invoked: bool = False) -> None:
        """``invoked``: writers are invoked beside the queue's, so what is sent is taken by a commit."""
        self._knobs = Knobs(invoked=float(invoked))
        self.asks = Numbers()
        self.outcomes = Numbers()
        """What a process hears: a value, or `Failed`."""
        self.pushes = Numbers()
        self._notes = Numbers()
        self.queues = Numbers()
        """All that was ever accepted, in order: (message id, delivery)."""
        self._stores = Numbers()
        self._known: Dict[Tuple[int, int], Effect] = {}
        self._sent: Dict[Tuple[int, int], Effect] = {}
        self.nothing = self.outcomes.of(None)
        self.empty = self._stores.under(frozenset(), MemoryStore())
        self.no_messages = self.queues.of(())

    def store(self, store: int, ask: int) -> Effect:
        """Of a call of the store."""
        known = self._known.get((store, ask))
        if known is None:
            known = self._known[store, ask] = self._store(store, self.asks.values[ask])
        return known

    def send(self, queue: int, ask: int) -> Effect:
        """Of a message that is sent."""
        known = self._sent.get((queue, ask))
        if known is None:
            known = self._sent[queue, ask] = self._send(self.queues.values[queue], self.asks.values[ask])
        return known

    def pushed(self, ask: int) -> List[int]:
        """The pushes that a call puts on their way."""
        asked: Ask = self.asks.values[ask]
        if asked.name == "drop":
            return [self.pushes.of((asked.args[0], None))]
        return [self.pushes.of((message.inbox, message.body)) for message in asked.args[0]]

    def noted(self, notes: Iterable[Tuple[str, str, Any]]) -> Tuple[int, ...]:
        """The numbers of notes: (who, what, value)."""
        return tuple(self._notes.under(repr(note), note) for note in notes)

    def note(self, number: int) -> Tuple[str, str, Any]:
        """A note by its number."""
        found: Tuple[str, str, Any] = self._notes.values[number]
        return found

    def rows(self, store: int) -> Dict[Any, Any]:
        """Everything in the store."""
        items: Any = self._stores.values[store]
        found = {}
        for name, table in items._tables.items():
            for partition, rows in table.partitions.items():
                found.update({(name, partition, sort): row for sort, row in rows.rows.items()})
        return found

    def _store(self, store: int, asked: Ask) -> Effect:
        world = World(1, self._knobs)
        process = Process(world, asked.who)
        process.checked_ms = asked.checked_ms
        process.asking, process.looks_at = list(asked.asking), asked.looks_at
        deployment = Deployment(world, NS)
        deployment.items = self._stores.values[store].copy()
        items: Any = deployment.items
        try:
            if asked.name == "commit":
                value: Any = None
                deployment.commit(process, asked.args[0])
            elif asked.name == "increment":
                value = deployment.increment(process, *asked.args)
            else:
                value = deployment.at_once(getattr(items, asked.name)(*asked.args))
        except Exception as error:
            outcome = self.outcomes.under((type(error), str(error)), Failed(0, error))
        else:
            outcome = self.outcomes.under(_frozen(value), value)
        notes = self.noted((entry.who, entry.what, entry.value) for entry in world.log)
        if asked.name in ("get", "query", "listing"):
            return Effect(store, outcome, notes)
        self._stores.values.append(items)
        rows = frozenset(self.rows(len(self._stores.values) - 1).items())
        self._stores.values.pop()
        return Effect(self._stores.under(rows, items), outcome, notes)

    def _send(self, accepted: Tuple[Tuple[str, Delivery], ...], asked: Ask) -> Effect:
        message_id, body, internal = asked.args
        if any(message_id == known for known, _ in accepted):
            return Effect(self.queues.of(accepted), self.nothing, ())
        what = "sent" if self._knobs.invoked else "accepted"
        after = (*accepted, (message_id, Delivery(body, internal, Position(len(accepted) + 1))))
        return Effect(self.queues.of(after), self.nothing, self.noted([(asked.who, what, decode(body))]))


def _frozen(value: Any) -> Any:
    if isinstance(value, Page):
        return ("page", tuple(value.rows), value.more)
    if isinstance(value, Listing):
        return ("listing", tuple(value.rows), tuple(value.names), value.more)
    return tuple(map(_frozen, value)) if type(value) is list else value
