"""`ports.Direct` where the writer is a function elsewhere: an invocation that is waited for, beside the queue's.

It may be refused, lost before it began or on its way back, last for longer than anybody waits, or die at any call of a
port.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional, Tuple

from ...errors import BackendError, Unavailable, Unknown
from ...messages import Message, encode
from ...ports import Written
from ...providers.contention import Contention
from .hosts import Instances
from .ports import Deployment
from .world import Process

THROTTLED = 0.03
"""How often there is no room for an invocation."""


class SimulatedInvocations:
    """Of one client process. ``writers``: the environments, those of the queue's batches, too."""

    never_waits = False

    def __init__(self, deployment: Deployment, process: Process, writers: Callable[[], Instances]) -> None:
        self._deployment = deployment
        self._process = process
        self._writers = writers
        self._contention = Contention()

    async def write(self, ns: str, message: Message, key: bytes = b"") -> Optional[Written]:
        """`ports.Direct.write`."""
        process, world = self._process, self._deployment.world
        self._contention.about_to(message, world.now)
        if process.random.random() >= world.knobs.invoked or not self._contention.is_due(world.now):
            return None
        if process.random.random() < THROTTLED:
            self._contention.met(world.now)
            raise Unavailable("throttled")
        body = encode(message, key)
        answer = await process.call("invoke", "write", lambda: self._begin(ns, message, body))
        await asyncio.wait((answer,), timeout=world.knobs.visibility)
        await process.pass_time(process.lag())
        if not answer.done():
            raise Unknown("no answer from the function")
        written, conflicts = answer.result()
        if conflicts:
            self._contention.met(world.now)
        else:
            self._contention.alone()
        found: Optional[Written] = written
        return found

    def _begin(self, ns: str, message: Message, body: bytes) -> "asyncio.Future[Tuple[Optional[Written], int]]":
        world = self._deployment.world
        process, writer = self._writers().take()
        process.direct, process.looked = message, None
        process.deserted = self._double_crash(process)
        answer: "asyncio.Future[Tuple[Optional[Written], int]]" = world.loop.create_future()
        gone = Unknown("the function failed")
        process.on_death = [lambda: None if answer.done() else answer.set_exception(gone)]
        world.note(self._process.name, "sent", message)
        world.note(process.name, "invoked", (message.inbox, message.first))
        task = asyncio.ensure_future(writer.write_for(ns, body))
        world.keep((task, answer))

        def over(task: "asyncio.Future[Any]") -> None:
            process.direct = process.deserted = None
            self._writers().give_back(process, writer)
            error = task.exception()
            world.note(process.name, "returned", "" if error is None else "%s: %s" % (type(error).__name__, error))
            if error is None:
                if process.looked is not None:
                    world.note(process.name, "failed", process.looked)
                answer.set_result(task.result())
            elif isinstance(error, BackendError) and not isinstance(error, Unknown):
                answer.set_result((None, 1))
            else:
                answer.set_exception(error)
            answer.exception()

        task.add_done_callback(over)
        return answer

    def _double_crash(self, function: Process) -> Optional[Callable[[], None]]:
        """What ends both after the first or the second commit; None if nothing does."""
        client = self._process
        left, client.deserting = client.deserting, 0
        if not left:
            return None

        def committed() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                client.is_gone = True
                client.die()
                function.die()

        return committed

    def in_turn(self, has_turn: Callable[[], bool]) -> None:
        """`ports.Direct.in_turn`: it waits, so nobody asks."""

    def finish_fan_out(self, ns: str) -> None:
        """`ports.Direct.finish_fan_out`: the function has seen to it."""
