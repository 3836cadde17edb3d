"""Several processes of one machine: each has its queue and its writer, and they commit for each other.

All that ships runs here (`providers.local.direct`, `combining` and `turn` there), but for what is not the protocol: the
memory that the processes share, its locks and wake-ups, and the store, whose transactions look at that memory while
nobody else can commit. A process may be slow, be stopped, be interrupted by a signal's handler or die at each access of
that memory by a caller's thread, and of the store and the inboxes by anybody.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union, cast

from ....eager import Waits, at_once
from ....errors import Unavailable, Unknown
from ....functions.writer import Writer
from ....messages import Entry, Message, decode
from ....ports import Clock, Delivery, Inboxes, Item, Key, NullSender, Ports, Store, Written
from ....providers.contention import Contention
from ....providers.dispatch import Dispatcher
from ....providers.local.combining import MESSAGE_AT, Records
from ....providers.local.direct import DirectWriter, inbox_of
from ....providers.local.progress import Progress
from ....providers.local.shared_memory import SharedMemory
from ....providers.local.store import LocalStore
from ....providers.local.turn import LOOK_S, Turn
from ....writer.cache import Cache
from ....writer.step import Step
from ..beside import BesideStore, SimulatedEvents, is_of_clients
from ..plan import INTERRUPT
from ..ports import Deployment, SimulatedClock, SimulatedInboxes, SimulatedStore
from ..world import Process
from .in_thread import InThread

T = TypeVar("T")
NOTICED = 0.15
"""How often others get a turn between two accesses of the memory."""
ACCESS_S, LONG_ACCESS_S = 0.0005, 0.04
"""What comes between two accesses takes so long at most, and now and then so long."""


class Interruption(BaseException):
    """What a signal's handler raises."""


class Machine:
    """What its processes share. Nothing of it is lost with them but their locks, and what they have not committed."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.cells: Dict[int, int] = defaultdict(int)
        self.bytes: Dict[int, bytes] = {}
        self.locks: Dict[int, Process] = {}
        self.sleepers: "Dict[int, List[Any]]" = defaultdict(list)
        self.published: Dict[Tuple[str, int], Message] = {}
        """By the inbox under which a head keeps its answer, and its number."""
        self.looked: Dict[Tuple[str, int], int] = {}
        """The step at which a message, by connection and number, was found to change nothing."""
        self._users: Dict[int, SimulatedCombining] = {}
        deployment.on_send, deployment.on_tick = self._send, self._tick

    def forget(self, zxids: int) -> None:
        """What is known together of the fan-outs is of so many zxids ago; 0: nothing."""
        told = Progress(self.cells)
        upto = max(0, told.upto(self.deployment.ns) - zxids) if zxids else 0
        told.note(self.deployment.ns, upto)

    def _send(self, process: Process, message_id: str, delivery: Delivery) -> None:
        self.user(process).functions.accept(self.deployment.ns, message_id, delivery.body, delivery.internal)

    def _tick(self, process: Process) -> None:
        user, ns = self.user(process), self.deployment.ns
        if Progress(self.cells).upto(ns) != self.deployment.head_rev():  # who wrote may have been killed, or stopped
            user.fan_out()

    def is_idle(self) -> bool:
        """Whether no process has anything in its queue."""
        return not any(user.functions.is_at_work for user in self._users.values() if not user.is_dead)

    def user(self, process: Process) -> "SimulatedCombining":
        """What a process writes with: the same for all its connections."""
        if id(process) not in self._users:
            self._users[id(process)] = SimulatedCombining(self, process)
            process.on_death.append(lambda: self._died(process))
        return self._users[id(process)]

    def look(self, index: int) -> int:
        """A word."""
        return self.cells[index]

    def _died(self, process: Process) -> None:
        self.locks = {number: owner for number, owner in self.locks.items() if owner is not process}
        self.deployment.end_transaction(process)

    def end(self) -> None:
        """After the run."""
        for user in self._users.values():
            user.thread.end()


class Thread(InThread):
    """The thread of a process that writes, and the gate through which it reaches the rest of the world."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process
        self.is_loops = False
        """Whether it is the event loop's, in which no signal's handler raises."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)

    async def call(self, port: str, name: str, effect: Callable[[], T]) -> T:
        """`Process.call`, without waiting as a coroutine does."""
        found = self.wait(self._process.call(port, name, effect))
        self._may_be_interrupted()
        return found

    def access(self, name: str, effect: Callable[[], T]) -> T:
        """Of the memory: in an instant, after or before which others may get a turn, but for the event loop."""
        if threading.current_thread() not in self._threads:
            return effect()
        process = self._process
        world = process.world
        is_troubled = process.kill_at or process.dead or process.paused_until > world.now or self._is_over
        if is_troubled or world.crossed is not None or process.random.random() < NOTICED:
            found = self.wait(self._access(name, effect))
            self._may_be_interrupted()
            return found
        return effect()

    async def _access(self, name: str, effect: Callable[[], T]) -> T:
        process, world = self._process, self._process.world
        world.calls += 1
        kill_at = process.kill_at or (world.crossed(process, "memory", name) if world.crossed is not None else "")
        if kill_at == "before":
            process.die()
        most_s = LONG_ACCESS_S if process.random.random() < world.knobs.slow else ACCESS_S
        await process.pass_time(process.random.random() * most_s)
        value = effect()
        if kill_at == "after":
            process.die()
        await process.pass_time(0.0)
        return value

    def sleep(self, machine: Machine, index: int, value: int, seconds: float) -> None:
        """See `SharedMemory.sleep`."""
        self.wait(self._sleep(machine, index, value, seconds))
        self._may_be_interrupted()

    async def _sleep(self, machine: Machine, index: int, value: int, seconds: float) -> None:
        process = self._process
        await process.pass_time(0.0)
        if machine.look(index) & 0xFFFFFFFF == value:
            woken = process.world.loop.create_future()
            machine.sleepers[index].append(woken)
            process.world.loop.call_later(seconds, lambda: None if woken.done() else woken.set_result(None))
            await woken
        await process.pass_time(0.0)

    def _may_be_interrupted(self) -> None:
        if self._process.kill_at == INTERRUPT and not self.is_loops:
            self._process.kill_at = ""
            raise Interruption


class Words:
    """The words, as a process that writes has them."""

    def __init__(self, machine: Machine, thread: Thread) -> None:
        self._machine = machine
        self._thread = thread

    def __getitem__(self, index: Union[int, slice]) -> Any:
        look = self._machine.look
        if isinstance(index, slice):
            several = range(index.start, index.stop)
            return self._thread.access("words", lambda: list(map(look, several)))
        one = index
        return self._thread.access("word", lambda: look(one))

    def __setitem__(self, index: int, value: int) -> None:
        self._thread.access("set", lambda: self._machine.cells.__setitem__(index, value))


class SimulatedMemory:
    """`SharedMemory` of a process."""

    def __init__(self, machine: Machine, thread: Thread, process: Process) -> None:
        self._machine = machine
        self._thread = thread
        self._process = process
        self.words = Words(machine, thread)

    def close(self) -> None:
        """`SharedMemory.close`."""
        raise NotImplementedError("it dies")

    def lock(self, number: int) -> bool:
        """`SharedMemory.lock`."""
        process = self._process
        return self._thread.access("lock", lambda: self._machine.locks.setdefault(number, process) is process)

    def holds(self, number: int) -> bool:
        """`SharedMemory.holds`."""
        return self._machine.locks.get(number) is self._process

    def unlock(self, number: int) -> None:
        """`SharedMemory.unlock`."""
        self._thread.access("unlock", lambda: self._machine.locks.pop(number, None))

    def read(self, offset: int, size: int) -> bytes:
        """`SharedMemory.read`."""
        return self._thread.access("read", lambda: self._machine.bytes.get(offset, b"").ljust(size, b"\0")[:size])

    def write(self, offset: int, data: bytes) -> None:
        """`SharedMemory.write`."""
        before = self._machine.bytes.get(offset, b"")
        self._thread.access("write", lambda: self._machine.bytes.__setitem__(offset, data + before[len(data) :]))

    def sleep(self, index: int, value: int, seconds: float) -> None:
        """`SharedMemory.sleep`."""
        self._thread.sleep(self._machine, index, value, seconds)

    def wake(self, index: int) -> None:
        """`SharedMemory.wake`."""
        self._thread.access("wake", lambda: self._wake(index))

    def _wake(self, index: int) -> None:
        for woken in self._machine.sleepers.pop(index, ()):
            if not woken.done():
                woken.set_result(None)


class NotedRecords(Records):
    """Records that are told apart in the history: what is published is written down."""

    def __init__(self, machine: Machine, memory: SimulatedMemory, name: int) -> None:
        super().__init__(cast(SharedMemory, memory), now=lambda: machine.deployment.world.now)
        self.name = name
        self._machine = machine

    def _put(self, record: int, offset: int, data: bytes, size: int) -> None:
        if offset == MESSAGE_AT and data:
            self._machine.published[inbox_of(self.name), self._number] = decode(data.partition(b"\n")[2])
        super()._put(record, offset, data, size)


class NotedWriter(Writer):
    """A writer that says what the next commit, or look at the head, decides."""

    store: "CombinedStore"

    async def _worked_out(self, ns: str, cache: Cache, entries: Sequence[Entry], done: Dict[str, int]) -> Step:
        step = await super()._worked_out(ns, cache, entries, done)
        self.store.decides(step.entries, cache.head.zxid)
        return step


class CombinedStore(BesideStore):
    """`LocalStore` of a caller's thread: its transactions look at words, and until one is over nobody else commits."""

    notes_itself = True

    def __init__(self, machine: Machine, thread: Thread, process: Process) -> None:
        super().__init__(machine.deployment, cast(Process, thread))
        self._machine = machine
        self._thread = thread
        self._owner = process
        self.progress: Progress
        self._asking: List[Message] = []

    def has_turn(self) -> bool:
        """`LocalStore.has_turn`."""
        return True

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`LocalStore.in_turn`."""

    def decides(self, entries: Sequence[Entry], zxid: int) -> None:
        """What is taken next, in this order, if the head is still at that zxid."""
        self._seen = zxid
        published = self._machine.published
        found = [published.get((entry.inbox, entry.number)) if entry.inbox else self.message for entry in entries]
        self._asking = [message for message in found if message is not None]

    def take(self) -> None:
        """From here on it may have been done."""
        asking, self._asking = self._asking, []
        for message in asking:
            self._machine.looked.pop((message.inbox, message.first), None)
            self._deployment.note_taken(self._owner, message)

    async def get(self, keys: Sequence[Key]) -> List[Optional[Item]]:
        """`ports.Store.get`: what fails does so by the look at the head, if it is answered with that."""
        asking, self._asking = self._asking, []

        def effect() -> List[Optional[Item]]:
            if asking and self._deployment.head_rev() == self._seen:
                for message in asking:
                    step = self._deployment.world.note(self._owner.name, "looked", message)
                    self._machine.looked[message.inbox, message.first] = step
            found: List[Optional[Item]] = self._deployment.at_once(self._items.get(keys))
            return found

        return await self._process.call("store", "get", effect)

    async def commit(self, writes: Sequence[object]) -> None:
        """`ports.Store.commit`, of `LocalStore`."""
        if is_of_clients(writes):
            return await super().commit(writes)
        try:
            await self._begin()
            looked, holds = self.progress.while_asked(self._deployment.ns)
            if not holds(looked()):
                raise Unavailable("it is not asked for any more")

            def effect() -> None:
                self.write(writes)
                self._seen = self._deployment.head_rev()
                self._deployment.end_transaction(self._owner)

            await self._process.call("store", "commit", effect)
        finally:
            self._asking = []
            self._end()

    async def fence(self) -> None:
        """`LocalStore.fence`."""
        try:
            await self._begin()
        finally:
            self._end()

    def _end(self) -> None:
        if self._deployment.writing is self._owner:
            self._thread.wait(self._roll_back())

    async def _roll_back(self) -> None:
        self._deployment.end_transaction(self._owner)

    async def _begin(self) -> None:
        if not await self._process.call("store", "begin", lambda: self._deployment.begin_transaction(self._owner)):
            await _once()  # who may not wait gives up


class _Once:
    def __await__(self) -> Any:
        yield


async def _once() -> None:
    await _Once()
    raise Unavailable("locked by another process")


class SimulatedTurn(Turn):
    """`Turn` of a process, whose callers' threads have the event loop's turn while they write."""

    def __init__(self, process: Process, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._process = process

    async def __aenter__(self) -> None:
        await self._process.pass_time(0.0)
        while self._process.is_writing:
            await self._process.pass_time(ACCESS_S)
        self._process.asking, self._process.looks_at = [], None
        await super().__aenter__()

    async def _sleep(self) -> None:
        await self._process.pass_time(LOOK_S)


class SimulatedCombining:
    """`ports.Direct` and the queue, of one process."""

    never_waits = False

    def __init__(self, machine: Machine, process: Process) -> None:
        deployment = self._deployment = machine.deployment
        self._machine = machine
        self._process = process
        self.thread = Thread(process)
        memory = SimulatedMemory(machine, self.thread, process)
        progress = Progress(memory.words)
        self._store = CombinedStore(machine, self.thread, process)
        self._store.progress = progress
        nobody, events = NullSender(), SimulatedEvents(deployment, cast(Process, self.thread)).push
        clock = cast(Any, SimulatedClock(process))
        writer = NotedWriter(Ports(cast(Store, self._store), nobody, nobody, clock, events=events), told=progress)
        writer.store = self._store
        records = NotedRecords(machine, memory, process.random.getrandbits(64))
        inboxes = cast(Inboxes, SimulatedInboxes(deployment, process))
        queued = Writer(Ports(cast(Store, SimulatedStore(deployment, process)), inboxes, nobody, clock), told=progress)
        queued._cache = writer._cache  # it is one and the same
        turn = SimulatedTurn(process, records, lambda: 1, lambda: None, lambda: 0.0)
        self.functions = Dispatcher(queued, None, inboxes, cast(Clock, clock), turn=turn)
        self._direct = DirectWriter(
            lambda: writer,
            lambda ns: self.functions.is_free(ns) and not self.functions.is_at_work,
            self._schedule_fan_out,
            cast(LocalStore, self._store),
            progress,
            records,
            lambda: process.world.now,
        )
        self._direct._contention[deployment.ns] = Contention(process.world.knobs.queued_s)

    @property
    def is_dead(self) -> bool:
        """Whether its process is."""
        return self._process.dead

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        process = self._process
        if process.is_writing or process.random.random() >= process.world.knobs.beside:
            return None  # each of a process's is one step, whichever connection asks
        self._store.message, process.is_writing = message, True
        writing = asyncio.ensure_future(self._write(ns, message))
        process.world.keep(writing)
        writing.add_done_callback(lambda done: done.exception())  # for nobody, if the session is not there any more
        await asyncio.wait((writing,))
        return writing.result()

    async def _write(self, ns: str, message: Message) -> Optional[Written]:
        process = self._process
        try:
            written = await self.thread.run(lambda: at_once(self._direct.write(ns, message)))
            looked = self._machine.looked.pop((message.inbox, message.first), None)
            if written is not None and looked is not None:
                process.world.note(process.name, "failed", looked)
            return written
        except Waits:
            return None
        except Interruption:
            self.thread.is_loops = True
            await self.thread.run(lambda: self._direct.finish_fan_out(ns))
            self.thread.is_loops = False
            raise Unknown("interrupted") from None
        finally:
            self._store.message, process.is_writing = None, False

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`ports.Direct.in_turn`: it waits, so nobody asks."""

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`: see `write`."""

    def fan_out(self) -> None:
        """Has the last commit fanned out. In the event loop."""
        self.functions._pending_fan_outs.add(self._deployment.ns)
        self.functions._handle_soon(self._deployment.ns)

    def _schedule_fan_out(self, ns: str) -> None:
        self.thread.wait(self._fan_out())

    async def _fan_out(self) -> None:
        await self._process.pass_time(0.0)
        self.fan_out()
