"""All states of a small scope and what may happen in each: numbers, and tables that the shipped code fills.

What a process does follows from what it heard, so it is run alone (`isolated`), once for every history that it may
have, and never again; and what a call does to the store once for every state of it (`effects`). A state of the whole is
made of the numbers of its parts. Nothing is drawn, every choice is taken, and no two states are taken for one.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Tuple

from ...errors import Unknown
from .effects import Effects, Numbers
from .isolated import (
    Answered,
    Arrived,
    Ask,
    Batch,
    Evicted,
    Failed,
    Invoked,
    IsolatedClient,
    IsolatedProcess,
    IsolatedWriter,
    Program,
)

DEAD = -1
KEPT = 500
"""Processes that are kept as they are, to go on with: all others are told their history again."""
INSTANT = ("increment",)
"""Calls that touch what nobody else does, so that their place in the order changes nothing."""


PACKED = struct.Struct("=IIIIIIBBBBBB")


class Scope(NamedTuple):
    """Who asks what, after the setup, and how much may go wrong."""

    name: str
    programs: Tuple[Tuple[Any, ...], ...]
    crashes: int = 0
    doubles: int = 0
    late: int = 0
    """How often a batch is handed to another writer although the first one is at it."""
    recent_bytes: int = 1 << 20
    two_steps: bool = False
    invoked: Tuple[int, ...] = ()
    """The clients, by their places, whose own writes are invocations."""


class State(NamedTuple):
    """Everything, by numbers. Two states are the same if these are."""

    store: int
    queue: int
    done: int
    """Messages of the queue that were handled."""
    busy: int
    """Messages in the batch that a writer has."""
    current: int
    """Which process has it, or had the last one."""
    processes: Tuple[int, ...]
    post: Tuple[int, ...]
    """Pushes on their way, sorted."""
    unexplored: Tuple[int, ...]
    """Calls of writers that died before the answer came, sorted."""
    crashes: int
    doubles: int
    late: int
    calls: Tuple[Tuple[int, int, int], ...] = ()
    """Invocations under way: the client, the number of its call, the writer."""


class Step(NamedTuple):
    """A process has heard something more: which it is now, and what that made it ask and note."""

    after: int
    instant: Tuple[Tuple[int, int], ...]
    notes: Tuple[int, ...]


class Local:
    """A process that has heard something: after what, and which calls of its are open: (number, ask)."""

    def __init__(self, before: int, what: Any, calls: Tuple[Tuple[int, int], ...], who: int) -> None:
        self.before = before
        self.what = what
        self.calls = calls
        self.who = who


class StateSpace:
    """The tables of one scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.effects = Effects(bool(scope.invoked))
        self.locals: List[Local] = []
        self.clients = len(scope.programs)
        self._words = Numbers()
        self._groups = Numbers()
        self._steps: Dict[Tuple[int, int, int], Step] = {}
        self._live: Dict[int, IsolatedProcess] = {}
        self._writers: Dict[int, int] = {}
        self._inboxes: Dict[str, int] = {}

    # --- processes ------------------------------------------------------------------------------

    def initial_processes(self, who: int) -> IsolatedProcess:
        """A process that has heard nothing: a client, or from number ``clients`` on a writer."""
        how = self.scope.recent_bytes, self.scope.two_steps, bool(self.scope.invoked)
        if who < self.clients:
            return IsolatedClient(who, *how, who in self.scope.invoked)
        return IsolatedWriter(who - self.clients + 1, *how)

    def root(self, who: int) -> int:
        """The number of a process that has heard nothing."""
        self.locals.append(Local(DEAD, None, (), who))
        return len(self.locals) - 1

    def step(self, local: int, number: int, heard: int) -> Step:
        """A process hears the outcome of its call ``number``; or, where that is 0, a push; or, at -1, a word."""
        key = local, number, heard
        known = self._steps.get(key)
        if known is None:
            known = self._steps[key] = self._step(local, self._what(number, heard))
        return known

    def _what(self, number: int, heard: int) -> Any:
        if number < 0:
            return self._words.values[heard]
        if number == 0:
            inbox, body = self.effects.pushes.values[heard]
            return Evicted(inbox) if body is None else Arrived(body, inbox)
        value = self.effects.outcomes.values[heard]
        return Failed(number, value.error) if isinstance(value, Failed) else Answered(number, value)

    def _step(self, local: int, what: Any) -> Step:
        before = self.locals[local]
        alone = self._live.pop(local, None) or self.redelivered(local)
        did = alone.receive(what)
        if isinstance(alone, IsolatedClient) and alone.connection.name:
            self._inboxes[alone.connection.name] = before.who
        open_calls = list(before.calls)
        if isinstance(what, (Answered, Failed)):
            open_calls = [call for call in open_calls if call[0] != what.number]
        instant: List[Tuple[int, int]] = []
        for number, ask in did.asks:
            (instant if ask.name in INSTANT else open_calls).append((number, self.effects.asks.of(ask)))
        self.locals.append(Local(local, what, tuple(open_calls), before.who))
        after = len(self.locals) - 1
        self._live[after] = alone
        if len(self._live) > KEPT:
            self._live.pop(next(iter(self._live))).forget()
        return Step(after, tuple(instant), self.effects.noted(did.notes))

    def redelivered(self, local: int) -> IsolatedProcess:
        """A process with the history of that number."""
        history = []
        while self.locals[local].before != DEAD:
            history.append(self.locals[local].what)
            local = self.locals[local].before
        alone = self.initial_processes(self.locals[local].who)
        for what in reversed(history):
            alone.receive(what)
        return alone

    def key(self, state: State) -> bytes:
        """A state in few bytes: the same for the same state, and for no other."""
        of = self._groups.of
        store, queue, done, busy, current, processes, post, unexplored, *left, calls = state
        groups = of(processes), of(post), of(unexplored), of(calls)
        return PACKED.pack(store, queue, *groups, done, busy, current + 1, *left)

    # --- what may happen ------------------------------------------------------------------------

    def choices(self, state: State) -> List[Tuple[Any, ...]]:
        """All that may happen next: a name, and of what."""
        found: List[Tuple[Any, ...]] = []
        for place, local in enumerate(state.processes):
            if local != DEAD:
                calls = [call for call in self.locals[local].calls if not self._is_under_way(state, place, *call)]
                found.extend(("answer", place, number, ask) for number, ask in calls)
                if state.crashes and place >= self.clients:
                    found.extend(("dies", place, number, ask) for number, ask in calls)
        post = dict.fromkeys(state.post)
        found.extend(("push", push) for push in post)
        if state.doubles:
            found.extend(("double", push) for push in post)
        found.extend(("unexplored", ask) for ask in dict.fromkeys(state.unexplored))
        waiting = len(self.effects.queues.values[state.queue]) - state.done
        if not state.busy and waiting:
            found.append(("batch",))
        if state.busy and state.late:
            found.append(("late",))
        return found

    def take(self, state: State, choice: Tuple[Any, ...]) -> Tuple[State, List[int]]:
        """The state that follows, and what happened."""
        notes: List[int] = []
        kind = choice[0]
        if kind == "answer":
            _, place, number, ask = choice
            if self.effects.asks.values[ask].port == "direct":
                return self._invocation(state, place, number, ask, notes), notes
            state, outcome = self._happen(state, ask, notes, place)
            return self._receive(state, place, number, outcome, notes), notes
        if kind == "dies":
            return self._die(state, choice[1], choice[2], notes), notes
        if kind == "push" or kind == "double":
            push = choice[1]
            if kind == "double":
                state = state._replace(doubles=state.doubles - 1)
            else:
                state = state._replace(post=_without(state.post, push))
            inbox = self.effects.pushes.values[push][0]
            place = self._inboxes.get(inbox, DEAD)
            return (state if place == DEAD else self._receive(state, place, 0, push, notes)), notes
        if kind == "unexplored":
            state, _ = self._happen(
                state._replace(unexplored=_without(state.unexplored, choice[1])), choice[1], notes, DEAD
            )
            return state, notes
        if kind == "late":
            state = state._replace(late=state.late - 1)
        return self._hand_over(state, kind == "late", notes), notes

    def _is_under_way(self, state: State, place: int, number: int, ask: int) -> bool:
        return any(call[:2] == (place, number) for call in state.calls)

    def _invocation(self, state: State, place: int, number: int, ask: int, notes: List[int]) -> State:
        """It begins, in an environment of its own, or its writer has answered."""
        asked: Ask = self.effects.asks.values[ask]
        if asked.name == "invoke":
            writer = len(state.processes)
            state = state._replace(
                processes=(*state.processes, self._new_writer(writer)), calls=(*state.calls, (place, number, writer))
            )
            return self.tell(state, writer, Invoked(asked.args[0]), notes)
        state = state._replace(processes=(*state.processes[:place], DEAD, *state.processes[place + 1 :]))
        return self._answered(state, place, asked.args[0], notes)

    def _answered(self, state: State, writer: int, value: Any, notes: List[int]) -> State:
        """The client of an invocation hears what came of it."""
        (call,) = [call for call in state.calls if call[2] == writer]
        outcomes, failed = self.effects.outcomes, isinstance(value, Exception)
        outcome = outcomes.under((type(value), str(value)), Failed(0, value)) if failed else outcomes.of(value)
        state = state._replace(calls=tuple(other for other in state.calls if other != call))
        return self._receive(state, call[0], call[1], outcome, notes)

    def _new_writer(self, place: int) -> int:
        if place not in self._writers:
            self._writers[place] = self.root(place)
        return self._writers[place]

    def _happen(self, state: State, ask: int, notes: List[int], place: int) -> Tuple[State, int]:
        """The effect of a call, and the number of what came of it."""
        effects = self.effects
        asked: Ask = effects.asks.values[ask]
        if asked.port == "store":
            effect = effects.store(state.store, ask)
            notes.extend(effect.notes)
            return (state if effect.after == state.store else state._replace(store=effect.after)), effect.outcome
        if asked.port == "inbox":
            state = state._replace(post=tuple(sorted((*state.post, *effects.pushed(ask)))))
        elif asked.name == "send":
            effect = effects.send(state.queue, ask)
            notes.extend(effect.notes)
            state = state._replace(queue=effect.after)
        elif place == state.current:
            handled = asked.args[0] if asked.name == "delete" else 0
            state = state._replace(done=state.done + handled, busy=0)
        return state, effects.nothing

    def _receive(self, state: State, place: int, number: int, heard: int, notes: List[int]) -> State:
        step = self.step(state.processes[place], number, heard)
        notes.extend(step.notes)
        after, instant = step.after, list(step.instant)
        while instant:
            number, ask = instant.pop(0)
            state, outcome = self._happen(state, ask, notes, place)
            step = self.step(after, number, outcome)
            notes.extend(step.notes)
            after = step.after
            instant.extend(step.instant)
        processes = state.processes
        return state._replace(processes=(*processes[:place], after, *processes[place + 1 :]))

    def tell(self, state: State, place: int, word: Any, notes: List[int]) -> State:
        """A process hears a word."""
        return self._receive(state, place, -1, self._words.of(word), notes)

    def _die(self, state: State, place: int, number: int, notes: List[int]) -> State:
        """At a call: others that it made are on their way."""
        calls = self.locals[state.processes[place]].calls
        state = state._replace(
            processes=(*state.processes[:place], DEAD, *state.processes[place + 1 :]),
            unexplored=tuple(sorted((*state.unexplored, *(ask for other, ask in calls if other != number)))),
            busy=0 if place == state.current else state.busy,
            crashes=state.crashes - 1,
        )
        if any(call[2] == place for call in state.calls):
            return self._answered(state, place, Unknown("the function failed"), notes)
        return state

    def _hand_over(self, state: State, late: bool, notes: List[int]) -> State:
        """All that waits, to the writer of the last batch, or to a new one."""
        current = state.current
        if current == DEAD or late or state.processes[current] == DEAD:
            current = len(state.processes)
            state = state._replace(processes=(*state.processes, self._new_writer(current)))
        batch = self.effects.queues.values[state.queue][state.done :]
        state = state._replace(current=current, busy=len(batch))
        return self.tell(state, current, Batch(tuple(delivery for _, delivery in batch)), notes)

    # --- where it begins ------------------------------------------------------------------------

    def begin(self, first: Any) -> Tuple[State, List[int]]:
        """Every client has its session, the first one has done ``first``, and all programs are asked."""
        notes: List[int] = []
        effects = self.effects
        state = State(effects.empty, effects.no_messages, 0, 0, DEAD, (), (), (), 0, 0, 0)
        for place in range(self.clients):
            local = self.root(place)
            self._live[local] = self.initial_processes(place)
            state = state._replace(processes=(*state.processes, local))
        for place in range(self.clients):
            state = self.tell(state, place, None, notes)
            state = self._settled(state, notes)
        state = self._settled(self.tell(state, 0, Program((first,)), notes), notes)
        for place, program in enumerate(self.scope.programs):
            state = self.tell(state, place, Program(program), notes)
        scope = self.scope
        return state._replace(crashes=scope.crashes, doubles=scope.doubles, late=scope.late), notes

    def _settled(self, state: State, notes: List[int]) -> State:
        """Always the first choice, until there is none."""
        choices = self.choices(state)
        while choices:
            state, noted = self.take(state, choices[0])
            notes.extend(noted)
            choices = self.choices(state)
        return state


def _without(numbers: Tuple[int, ...], one: int) -> Tuple[int, ...]:
    at = numbers.index(one)
    return (*numbers[:at], *numbers[at + 1 :])
