"""The heartbeat, the dead-letter function and the sweeper killed before and after every request, and called again.

What they are for has happened then: the session is told to end, the sender is told, the leftovers are gone.
"""

from __future__ import annotations

import asyncio
import base64
import functools
from typing import Any, Awaitable, Callable, List, Sequence

import pytest

from fk_backend import layout
from fk_backend.core import watches
from fk_backend.core.model import Error
from fk_backend.core.requests import Expire
from fk_backend.messages import PING, Message, decode
from fk_backend.ports import INTEREST, SESSIONS, Item, Put
from fk_backend.providers.aws import handlers, names, sweep
from fk_backend.providers.aws.handlers import Functions, Service
from fk_backend.providers.aws.ticks import TICK_S
from fk_backend.session.beats import BEAT

from ..conftest import DEPLOYMENT, Account
from .scenes import create
from .stage import Crash, Run, Scene, Stage, record, settled, told
from .wire import READS, Process, carried_by

VISIBILITY_S = 30
"""After so long a queue hands out a message again."""
Work = Callable[[Functions], Awaitable[Any]]


async def _nobody() -> None: ...


class Act:
    """What a function did, which was killed once and then called again."""

    def __init__(self, stage: Stage, victim: Process) -> None:
        self.stage = stage
        self.victim = victim
        self.processes: List[Process] = [victim]

    async def call(self, work: Work, process: Process) -> Any:
        """As a new environment, in this process."""
        self.processes.append(process)
        service = await self.stage.service()
        with carried_by(process):
            return await settled(work(Functions(service)))

    async def killed_and_again(self, work: Work, listener: Callable[[], Awaitable[None]] = _nobody) -> Any:
        """What the call returns that was not killed. ``listener`` takes what is in its inbox before each call."""
        await listener()
        try:
            return await self.call(work, self.victim)
        except Crash:
            self.stage.clock.now_s += VISIBILITY_S
            await listener()
            return await self.call(work, Process())

    def queued(self, queue: str) -> List[Any]:
        """What one queue took, by anybody."""
        taken = {id(message): message for process in self.processes for message in process.queued}
        return [message for message in taken.values() if message["QueueUrl"].endswith("/" + queue)]


def _every_kill(play: Callable[[Act], Awaitable[None]]) -> None:
    """Plays it through undisturbed, and then with a kill at each of its requests."""

    async def run() -> None:
        stage = await Stage.open()
        try:
            whole = Process()
            await play(Act(stage, whole))
            assert len(whole.sent) >= 2
            for at, sent in enumerate(whole.sent, 1):
                for after in (False,) if sent.operation in READS else (False, True):
                    victim = Process(at, after)
                    await play(Act(stage, victim))
                    assert victim.dead
        finally:
            await stage.clients.close()

    asyncio.run(run())


async def _prepared(stage: Stage, scene: Scene) -> Run:
    run = Run(stage, scene, await stage.service())
    await run.prepare()
    return run


async def _expirations(act: Act, service: Service, ns: str) -> List[int]:
    """Sessions that were told to end, in messages that count as the functions' own."""
    found = []
    for message in act.queued(names.writes_queue(DEPLOYMENT)):
        if message["MessageGroupId"] == ns:
            assert await service.orders.gave(ns, message["MessageDeduplicationId"])
            requests = decode(base64.b64decode(message["MessageBody"])).requests
            found.extend(request.session for request in requests if isinstance(request, Expire))
    return found


def test_the_heartbeat(aws_account: Account) -> None:
    """The tick that ends a session is killed: a later one ends it, and there are always more ticks to come."""
    scene = Scene(lambda s: [], roles=("one",), before=[("one", create("/e", 1))])

    async def play(act: Act) -> None:
        run = await _prepared(act.stage, scene)
        attributes = {"SentTimestamp": "1"}
        message = {"messageId": "tick", "receiptHandle": "tick", "body": run.ns, "attributes": attributes}

        async def tick(functions: Functions) -> List[str]:
            return await functions.heartbeat([message])

        for _ in range(3):  # seen, and twice still alive
            act.stage.clock.now_s += TICK_S
            assert await act.call(tick, Process()) == ["tick"]
        assert not await _expirations(act, run.service, run.ns)
        act.stage.clock.now_s += TICK_S
        assert await act.killed_and_again(tick) == ["tick"]
        for _ in range(4):
            act.stage.clock.now_s += TICK_S
            assert await act.call(tick, Process()) == ["tick"], "it goes on"
        assert set(await _expirations(act, run.service, run.ns)) == set(_sessions(await _rows(run)))
        await run.ending()
        await run.clear()

    _every_kill(play)


async def _rows(run: Run) -> Sequence[Any]:
    return (await run.service.store.query(SESSIONS, layout.sessions_partition(run.ns))).rows


def _sessions(rows: Sequence[Any]) -> List[int]:
    return [layout.session_of(item).id for _, item in rows]


def test_the_dead_letter_function(aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender is told, and the message is kept."""
    monkeypatch.setenv("FK_DEPLOYMENT", DEPLOYMENT)
    scene = Scene(lambda s: [Message(s.inboxes["one"], s.ids["one"], 7, (create("/a"), create("/b")))], roles=("one",))

    async def play(act: Act) -> None:
        run = await _prepared(act.stage, scene)
        records = [record(run.ns, decode(base64.b64decode(run.records[0]["body"])))]
        assert await act.killed_and_again(lambda functions: functions.dead_letter(records)) == []
        pushed = [note for process in act.processes[-1:] for note in process.pushed]
        answers = told(pushed, run.inboxes["one"]).answers
        assert {number: result[0] for number, result in answers.items()} == dict.fromkeys((7, 8), Error.DEAD_LETTERED)
        bucket = run.service.blobs._bucket
        key = "dead/%s/%s" % (run.ns, records[0]["messageId"])
        kept = await act.stage.clients.s3.get_object(Bucket=bucket, Key=key)
        assert base64.b64encode(await kept["Body"].read()).decode() == records[0]["body"]
        await run.ending()
        await run.clear()

    _every_kill(play)


def test_the_sweeper(aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to nothing is gone, what belongs to something stays, and a session that nobody listens to ends."""
    monkeypatch.setattr(handlers, "Sweep", functools.partial(sweep.Sweep, young_s=0.0))
    scene = Scene(lambda s: [], roles=("one", "two"), watched=[("two", "/", watches.DATA)])

    async def play(act: Act) -> None:
        run = await _prepared(act.stage, scene)
        store, queues, blobs = run.service.store, run.service.queues, run.service.blobs
        await queues.drop(run.inboxes["one"])
        ids = {layout.session_of(item).inbox: layout.session_of(item).id for _, item in await _rows(run)}

        async def listen() -> None:
            url = queues.url(names.inbox_queue(DEPLOYMENT, run.inboxes["two"]))
            while True:
                answer = await act.stage.clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
                if "Messages" not in answer:
                    return
                for message in answer["Messages"]:
                    if base64.b64decode(message["Body"]) == PING:
                        await store.increment(layout.beat_key(run.ns, ids[run.inboxes["two"]]), BEAT)
                await queues.delete(url, answer["Messages"])

        await act.call(lambda functions: functions.sweep(), Process())
        assert await _expirations(act, run.service, run.ns) == []
        orphan = "ef" * 16
        await act.stage.make_inboxes(run.service, {orphan})
        await blobs.keep(run.ns, "orphan", b"x")
        key = layout.registration_key(run.ns, "/", watches.DATA, orphan)
        await store.commit([Put(key, Item(1, b""), owner=orphan)])

        await act.killed_and_again(lambda functions: functions.sweep(), listen)
        assert await blobs.older_than(0.0) == []
        assert await queues.inboxes() == [run.inboxes["two"]]
        registered = {row.sort for row, _ in await store.scan(INTEREST, run.ns + ":/")}
        assert registered == {"%s:%s" % (watches.DATA, run.inboxes["two"])}
        gone = [layout.session_of(item) for _, item in await _rows(run)]
        assert set(await _expirations(act, run.service, run.ns)) == {
            s.id for s in gone if s.inbox == run.inboxes["one"]
        }
        await run.ending()
        await run.clear()

    _every_kill(play)
