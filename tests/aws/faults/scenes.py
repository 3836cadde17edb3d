"""Batches that between them do everything that the writer does, and what was there before each."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from unittest import mock

from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Blob
from fk_backend.core.requests import (
    Attach,
    Check,
    Close,
    Create,
    Delete,
    Expire,
    Multi,
    Open,
    Request,
    SetData,
    StopTicking,
)
from fk_backend.functions import writer
from fk_backend.messages import Message
from fk_backend.providers.aws.blobs import INLINE_BYTES
from fk_backend.providers.aws.dev.documented import DOCUMENTED
from fk_backend.providers.aws.store import DynamoStore
from tests.functions.doubles import KEY, PASSWORD

from .stage import Crash, Ending, Process, Run, Scene, Sessions, Setting, Stage, heartbeat_inbox
from .wire import Sent, Sleeper

LARGE, OTHER = b"l" * (INLINE_BYTES + 1), b"o" * (INLINE_BYTES + 2)
NEXT = 100
"""The number of the first request of a batch: those before it are spent on the setting."""


def create(path: str, flags: int = 0, data: Any = b"x") -> Create:
    return Create(path, data, OPEN_ACL, flags, 0, False)


def by(role: str, *requests: Request, first: int = NEXT) -> Callable[[Sessions], Message]:
    return lambda s: Message(s.inboxes[role], s.ids[role], first, requests)


def batch(*messages: Callable[[Sessions], Message]) -> Callable[[Sessions], List[Message]]:
    return lambda s: [make(s) for make in messages]


def _opening(s: Sessions) -> Message:
    return Message(s.inboxes["guest"], 0, 0, (Open(KEY, 4000, s.inboxes["guest"], None),))


def _attaching(s: Sessions) -> Message:
    return Message(s.inboxes["guest"], 0, 0, (Attach(s.ids["one"], PASSWORD, s.inboxes["guest"], None),))


def _after_attaching(s: Sessions) -> Message:
    return Message(s.inboxes["guest"], s.ids["one"], 1, (create("/b", 1),))


def _expiring(s: Sessions) -> Message:
    return Message(heartbeat_inbox(), 0, 1, (Expire(s.ids["one"], 0),))


def _resting(s: Sessions) -> Message:
    return Message(heartbeat_inbox(), 0, 1, (StopTicking(1 << 40),))


def _laid_down(s: Sessions) -> Message:
    data = Blob("uploads/%s/laid" % s.ns, len(LARGE))
    return Message(s.inboxes["one"], s.ids["one"], NEXT, (create("/up", data=data), SetData("/up", b"small", -1)))


WATCHED = [(role, path, mode) for role in ("one", "two") for path in ("/a", "/n") for mode in sorted(watches.MODES)]

SCENES: Dict[str, Scene] = {
    "create": Scene(batch(by("one", create("/n"))), before=[("one", create("/a"))]),
    "set, cold": Scene(batch(by("one", SetData("/a", b"new", -1))), before=[("one", create("/a"))]),
    "set, warm": Scene(batch(by("one", SetData("/a", b"new", 0))), before=[("one", create("/a"))], warm=True),
    "delete": Scene(batch(by("one", Delete("/a", -1))), before=[("one", create("/a"))]),
    "refused": Scene(batch(by("one", Delete("/none", -1), create("/a"))), before=[("one", create("/a"))]),
    "multi": Scene(
        batch(by("one", Multi((create("/a/b"), SetData("/a", b"new", 0), Delete("/c", -1), Check("/a", 1))))),
        before=[("one", create("/a")), ("one", create("/c"))],
    ),
    "several, in commits of one": Scene(
        batch(
            by("one", create("/a/s-", 2), SetData("/a", b"1", 0)),
            by("two", SetData("/a", b"2", 0), Delete("/c", 0)),
            by("three", create("/c/d"), create("/e", 1)),
        ),
        before=[("one", create("/a")), ("one", create("/c"))],
        watched=[("one", "/a", watches.DATA), ("two", "/a", watches.DATA)],
    ),
    "the first session": Scene(lambda s: [_opening(s)], roles=(), guests=["guest"]),
    "one more session": Scene(lambda s: [_opening(s)], guests=["guest"]),
    "close": Scene(
        batch(by("one", Close()), by("two", create("/n"))),
        before=[("one", create("/a", 1)), ("one", create("/b", 1))],
        watched=WATCHED,
    ),
    "close with more ephemerals than one commit takes": Scene(
        batch(by("one", Close()), by("two", create("/n"))),
        before=[("one", create("/e%02d" % n, 1)) for n in range(12)],
        watched=[("two", "/e00", watches.DATA)],
    ),
    "attach": Scene(
        lambda s: [
            by("one", create("/e", 1))(s),
            _attaching(s),
            by("one", create("/a", 1), first=NEXT + 1)(s),
            _after_attaching(s),
        ],
        watched=[("one", "/a", watches.DATA)],
        guests=["guest"],
    ),
    "expire": Scene(
        lambda s: [_expiring(s), by("two", create("/a"))(s)],
        before=[("one", create("/a", 1))],
        watched=[("two", "/a", watches.DATA), ("one", "/a", watches.DATA)],
        ordered=True,
    ),
    "rest": Scene(lambda s: [_resting(s)], before=[("one", create("/a", 1)), ("one", Delete("/a", -1))], ordered=True),
    "large": Scene(
        batch(by("one", SetData("/a", OTHER, -1), Delete("/b", -1), create("/c", data=LARGE))),
        before=[("one", create("/a", data=LARGE)), ("one", create("/b", data=LARGE))],
    ),
    "laid down": Scene(lambda s: [_laid_down(s)], uploads=[("laid", LARGE)]),
    "watched": Scene(
        batch(by("three", SetData("/a", b"new", -1), create("/n"), create("/a/c"))),
        before=[("one", create("/a"))],
        watched=WATCHED,
    ),
}
MORE_RECEIVES = 10 if DOCUMENTED in os.environ else 0
"""How often a batch may come again by itself: a request may fail where AWS is as it is documented."""
SMALL_COMMITS = ("several, in commits of one",)
ALONE = ("attach",)
"""A request of it fails, beside others at first and by itself when it comes again. It takes a zxid then
(`step.recorded`), and all that follow have others: here it does not, so that runs can be compared.
"""
SMALL_TRANSACTIONS = ("close with more ephemerals than one commit takes",)


class Play:
    """One scene, again and again."""

    def __init__(self, stage: Stage, scene: Scene) -> None:
        self._stage = stage
        self._scene = scene
        self._setting: Optional[Setting] = None

    async def prepared(self) -> Run:
        """Just before the batch. A writer that goes on from what it knows has to learn it each time."""
        run = Run(self._stage, self._scene, await self._stage.service())
        setting = await run.prepare(None if self._scene.warm else self._setting)
        self._setting = self._setting or setting
        return run

    async def undisturbed(self) -> Tuple[Ending, Process]:
        """The end to compare with, and what it took to come there."""
        run = await self.prepared()
        process = Process()
        return await self._after(run, process), process

    async def killed(self, at: int, after: bool) -> Tuple[Ending, Optional[Sent]]:
        """How it ends when the writer is killed at this request, and the batch comes again.

        And the request; None if there were fewer, so that nobody was killed.
        """
        run = await self.prepared()
        process = Process(at, after)
        try:
            return await self._after(run, process), None
        except Crash:
            return await self._again(run), process.sent[-1]

    async def disturbed(self, process: Process) -> Ending:
        """How it ends when the first to handle the batch is this process, and it comes again if that asks for it."""
        run = await self.prepared()
        if await run.deliver(process):
            return await self._again(run)
        return await self._over(run)

    async def late(self, at: int) -> Ending:
        """How it ends when the writer stops at this request, another one does the work, and then the first goes on."""
        run = await self.prepared()
        sleeper = Sleeper(at)
        asleep, reached = asyncio.ensure_future(run.deliver(sleeper)), asyncio.ensure_future(sleeper.reached.wait())
        await asyncio.wait((asleep, reached), return_when=asyncio.FIRST_COMPLETED)
        if reached.cancel():  # there were fewer
            return await (self._again if asleep.result() else self._over)(run)
        await self._done(run)
        sleeper.wake.set()
        await asleep  # whatever it asks for: SQS has forgotten the messages
        return await self._over(run)

    async def together(self) -> Ending:
        """How it ends when two writers are handed the batch at the same time, and a third one what they leave."""
        run = await self.prepared()
        services = [run.service, await self._stage.service()]
        left = await asyncio.gather(*(run.deliver(Process(), service) for service in services))
        if all(left):
            return await self._again(run)
        return await self._over(run)

    async def _after(self, run: Run, process: Process) -> Ending:
        left = await run.deliver(process)
        assert not left or MORE_RECEIVES
        return await (self._again if left else self._over)(run)

    async def _again(self, run: Run) -> Ending:
        await self._done(run)
        return await self._over(run)

    async def _done(self, run: Run) -> None:
        """The batch comes again, until nothing of it is left."""
        for receives in range(2, 3 + MORE_RECEIVES):
            if not await run.deliver(Process(), await self._stage.service(), receives=receives):
                return
        raise AssertionError("it comes again and again")

    async def _over(self, run: Run) -> Ending:
        ending = await run.ending()
        await run.clear()
        return ending


@contextlib.contextmanager
def sized(name: str) -> Iterator[None]:
    """Commits so small that the scene takes several, where it is about that."""
    calls = 1 if name in SMALL_COMMITS else writer.MAX_CALLS
    recorded = _unrecorded if name in ALONE else writer.recorded
    limits = DynamoStore.capabilities._replace(writes=26) if name in SMALL_TRANSACTIONS else DynamoStore.capabilities
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(writer, "MAX_CALLS", calls))
        patches.enter_context(mock.patch.object(writer, "recorded", recorded))
        patches.enter_context(mock.patch.object(DynamoStore, "capabilities", limits))
        yield


def _unrecorded(ports: Any, ns: str, warm: Any, step: Any, done: Any) -> Any:
    return step
