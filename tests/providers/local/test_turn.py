"""An event loop has its turn beside callers who hand each other the lock, and nobody waits for one that is stopped."""

from __future__ import annotations

import asyncio
from typing import Any, List, Tuple

from fk_backend.providers.local import combining, files, progress
from fk_backend.providers.local.combining import DONE, PUBLISHED, REFUSED, Records
from fk_backend.providers.local.shared_memory import SharedMemory
from fk_backend.providers.local.turn import Turn


class Clock:
    """A time that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def processes(place: files.Place, count: int, woken: Any = None) -> Tuple[List[Records], Clock]:
    """The records of several, as each process has them."""
    clock, words = Clock(), progress.shared_words(place)[0]
    wake = woken or (lambda number: None)
    return [Records(SharedMemory(place, words), True, wake, clock) for _ in range(count)], clock


def test_who_comes_later_stands_back_for_an_event_loop_that_waits(place: files.Place) -> None:
    woken: List[int] = []
    (loop, holder, caller, waiter), _ = processes(place, 4, woken.append)
    assert holder.take() and not loop.take()
    assert waiter.publish(b"ns\n")
    number = loop.wait_for_turn(77)
    holder.give()
    assert woken == [77] or waiter.bell(), "one of the two who wait is woken"
    assert not caller.take() and not holder.take(), "they stand back"
    assert loop.take()
    loop.retract()
    loop.give()
    assert caller.take()
    assert loop.reply(number) == PUBLISHED
    caller.give()


def test_who_waits_for_its_own_message_does_not_stand_back(place: files.Place) -> None:
    (loop, caller), _ = processes(place, 2)
    assert loop.wait_for_turn(77) and caller.publish(b"ns\n")
    assert caller.take() and [each.body for each in caller.published()] == []
    caller.give()


def test_an_event_loop_that_does_not_come_is_not_waited_for(place: files.Place) -> None:
    (loop, caller, another), clock = processes(place, 3)
    number = loop.wait_for_turn(77)
    for _ in range(9):
        assert not caller.take()
        clock.now += combining.STOOD_BACK_S * 0.1
        assert caller.publish(b"ns\n") and caller.take(), "who has waited need not stand back"
        caller.retract()
        caller.give()
        assert loop.state(number) == PUBLISHED
    clock.now += combining.STOOD_BACK_S * 0.2
    assert caller.take() and loop.state(number) == REFUSED
    caller.give()
    assert another.take(), "nobody stands back for it any more"
    another.give()


def test_what_was_answered_since_stays_answered(place: files.Place) -> None:
    """Whoever stood back for an event loop says nothing of what its process has asked for after that."""
    (process, caller, another), clock = processes(place, 3)
    process.wait_for_turn(77)
    assert not caller.take()
    process.retract()
    number = process.publish(b"ns\n")
    assert another.take()
    (publication,) = another.published()
    another.settle(publication, DONE, b"answer")
    another.give()
    clock.now += 2 * combining.STOOD_BACK_S
    assert caller.publish(b"ns\n") and caller.take()
    assert process.state(number) == DONE and process.answer() == b"answer"
    caller.give()


def test_an_event_loop_has_its_turn_beside_callers_who_write_all_the_time(place: files.Place) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        turns: List[Turn] = []
        (mine, first, second), _ = processes(place, 3, lambda number: loop.call_soon(turns[0].wake))
        turns.append(Turn(mine, lambda: 1, lambda: None, lambda: 0.0))
        busy = first
        assert busy.take()
        waiting = asyncio.ensure_future(turns[0].__aenter__())
        for _ in range(100):
            await asyncio.sleep(0)
            if waiting.done():
                break
            if busy._memory.holds(0):
                busy.give()
            other = second if busy is first else first
            if other.take():
                busy = other
        assert waiting.done()
        await turns[0].__aexit__()
        assert first.take()
        first.give()

    asyncio.run(run())
