"""The functions as Lambda calls them: decode the event, run the function over the ports, say what has to come again.

What a queue brings is untrusted. That the heartbeat sent a message is proved by its order in a table that only
functions can write. Everything that is kept between invocations of an environment may be gone at any time.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import os
import time
from functools import partial
from typing import Any, Awaitable, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from ... import codec, layout
from ...core.model import Error, Id, Session
from ...core.requests import Attach, Open
from ...errors import BackendError, Conflict, Refused, Unavailable, Unknown
from ...functions.heartbeat import SENDER, Heartbeat
from ...functions.writer import Writer
from ...messages import Message, Position, decode, trigger_log_of
from ...ports import Delivery, Ports
from ...writer.distributor import answer_notes
from ...writer.senders import begins, is_sender
from ..clock import SystemClock
from . import direct, metrics, names
from .blobs import S3Blobs
from .clients import Clients
from .failures import cut_off
from .queues import NEW, Queues
from .store import DynamoStore
from .sweep import Sweep
from .ticks import TICK_S, Orders, Pulse, Tick, Ticked, WallClock

log = logging.getLogger(__name__)
logging.getLogger("fk_backend").setLevel(os.environ.get("FK_LOG_LEVEL", "INFO"))

Record = Dict[str, Any]
T = TypeVar("T")
BUG_TRIES = 3
"""Receives of a message after which it is set aside if it met a bug each time; what is AWS's trouble is tried on."""
MARGIN_S = 2.0
"""What an invocation keeps of its time: to say what has to come again, and for a connection that has died."""
MAX_TICK_S = 15.0
"""So long a tick may take: less than the function, so that it keeps no other one from being done with."""
MAX_RETRY_S = 30
"""The longest pause before a batch that failed is tried again; the first one is 2 s, and each is twice the last."""


class Service(NamedTuple):
    """What an environment keeps from one invocation to the next."""

    clients: Clients
    queues: Queues
    store: DynamoStore
    writer: Writer
    pulse: Pulse
    orders: Orders
    blobs: S3Blobs


async def build(deployment: str, super_id: Optional[str] = None) -> Service:
    """The functions over AWS's ports."""
    clients = await Clients(of_function=True).open()
    try:
        queues = await Queues.find(clients, deployment)
    except BaseException:
        await clients.close()
        raise
    store = DynamoStore(clients, deployment)
    orders = Orders(store)
    blobs = S3Blobs(clients, names.bucket(deployment, queues.account, clients.region))
    ports = Ports(store, queues, queues, SystemClock(), queues, blobs)
    beating = ports._replace(clock=WallClock())
    writer = Writer(ports, Id("digest", super_id) if super_id else None, shares=True)
    pulse = Pulse(Heartbeat(beating, TICK_S, owners_only=True), beating)
    return Service(clients, queues, store, writer, pulse, orders, blobs)


def _body(record: Record) -> bytes:
    """What was sent; nothing where that is no base64, which no client of ours sends."""
    try:
        return base64.b64decode(record["body"], validate=True)
    except ValueError:
        return b""


def _record_of(message: Any) -> Record:
    """A message as it was received, as an event source hands it over."""
    attributes = dict(message.get("Attributes", {}))
    return {"messageId": message["MessageId"], "body": message["Body"], "attributes": attributes}


def _position(record: Record) -> Position:
    attributes = record["attributes"]
    return Position(int(attributes.get("SequenceNumber", 0)), int(attributes.get("SentTimestamp", 0)))


def _message(body: bytes) -> Optional[Message]:
    """None for what the writer sets aside."""
    try:
        return decode(body)
    except codec.Malformed:
        return None


def _receives(record: Record) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


async def _again_if_cut_off(work: Callable[[], Awaitable[T]]) -> T:
    """What a message that comes again would do, without the wait for it, where a connection died in idle times."""
    try:
        return await work()
    except (Unavailable, Unknown) as error:
        if error.__cause__ is None or not cut_off(error.__cause__):
            raise
        log.info("again, on a new connection: %s", error)
    return await work()


class Functions:
    """The handlers of one environment, over one service, in one event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def writer(self, records: Sequence[Record], seconds: float = 20.0) -> List[str]:
        """Writes batches, one for each message group. The ids of the messages that have to come again.

        A batch of a FIFO queue may hold several groups (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS"):
        they are written side by side, so that none waits for another. ``seconds``: what each may take.
        """
        groups: Dict[str, List[Record]] = {}
        for record in records:
            groups.setdefault(record["attributes"]["MessageGroupId"], []).append(record)
        failed = await asyncio.gather(*(self._write_in(seconds, ns, group) for ns, group in groups.items()))
        return [message_id for ids in failed for message_id in ids]

    async def direct(self, event: Record, seconds: float) -> Record:
        """One write of a client that invoked this, whoever it is. An error that is raised says that it may be done."""
        asked = direct.asked(event)
        if asked is None:
            return direct.refusal(Refused("no direct message"))
        ns, body = asked
        message = _message(body)
        if message is not None and not await self._admitted(ns, message):
            return direct.refusal(Refused("a session is asked for by somebody who may not write there"))
        try:
            written, conflicts = await asyncio.wait_for(self._service.writer.write_for(ns, body), seconds)
        except Unknown:
            raise
        except BackendError as error:
            log.info("namespace %s: left to the queue: %s", ns, error)
            return direct.refusal(error)
        return direct.answer(written, conflicts)

    async def _write_in(self, seconds: float, ns: str, records: List[Record]) -> List[str]:
        """If the function ran out of time, the other groups' messages would come again as well."""
        try:
            return await asyncio.wait_for(self._write(ns, records), seconds)
        except asyncio.TimeoutError:
            log.error("namespace %s: not written within %.0f s", ns, seconds)
            metrics.tell(names.WRITER, metrics.FAILED, 1, namespace=ns)
            return [record["messageId"] for record in records]  # what is done of them is known when they come again

    async def _write(self, ns: str, records: List[Record]) -> List[str]:
        """One by one where the batch was tried before: so it shows which message it is that can't be written.

        A message that is a bug's is set aside here, so that those behind it are not: they come as often as it does.
        """
        again = any(_receives(record) > 1 for record in records)
        batches = [[record] for record in records] if again else [records]
        for position, batch in enumerate(batches):
            try:
                deliveries = [await self._delivery(ns, record) for record in batch]
                await _again_if_cut_off(partial(self._service.writer, ns, deliveries))
            except Exception as error:
                trouble = isinstance(error, (Unavailable, Unknown, Conflict))  # whatever else will be refused again
                log.log(
                    logging.WARNING if trouble else logging.ERROR, "namespace %s: %r", ns, error, exc_info=not trouble
                )
                if again and not trouble and _receives(batch[0]) >= BUG_TRIES:
                    await self._set_aside(batch[0], names.WRITER)
                    continue
                metrics.tell(names.WRITER, metrics.FAILED, 1, namespace=ns)
                left = [record for rest in batches[position:] for record in rest]
                await self._service.queues.try_again_soon(left, min(2 ** _receives(left[0]), MAX_RETRY_S))
                return [record["messageId"] for record in left]
        return []

    async def _delivery(self, ns: str, record: Record) -> Delivery:
        body, sent_id = _body(record), record["attributes"].get("MessageDeduplicationId", "")
        message = _message(body)
        if message is not None:
            if not await self._admitted(ns, message):
                log.error("namespace %s: a session was asked for by somebody who may not write there", ns)
                return Delivery(b"", False)
            await self._expect(ns, message, body, record)
        internal = sent_id.startswith(SENDER) and await self._service.orders.gave(ns, sent_id)
        return Delivery(body, internal, _position(record))

    async def _admitted(self, ns: str, message: Message) -> bool:
        """Whether whoever asks for a session can write items of this namespace: IAM says so, the queue can't.

        Nor can who invokes a function. Nobody can tell from which address a message came, or from whom: who claims one
        is after somebody else's rights.
        """
        if not layout.is_namespace(ns) or not layout.is_inbox(message.inbox):
            return True  # the writer sets it aside
        asking = [request for request in message.requests if isinstance(request, (Open, Attach))]
        if not asking:
            return True  # it needs a session that is open at its inbox
        if any(request.address is not None or request.subject is not None for request in asking):
            return False
        (item,) = await self._service.store.get([layout.hello_key(ns, message.inbox)])
        return item is not None

    async def _expect(self, ns: str, message: Message, body: bytes, record: Record) -> None:
        """What answers a message waits for its inbox, if that was made just before it was sent."""
        made = begins(message)
        if not made and NEW.keys() <= record.get("messageAttributes", {}).keys():
            made = is_sender(message, body, await self._session(ns, message.session))
        if made:
            self._service.queues.expect(message.inbox, _position(record).sent_ms / 1000)

    async def heartbeat(self, records: Sequence[Record]) -> List[str]:
        """Looks after the namespaces that messages name, side by side. The ids of what has to come again."""
        ticked = await asyncio.gather(*(self._tick(record) for record in records), return_exceptions=True)
        again: List[Tuple[Record, int]] = []
        for record, tick in zip(records, ticked):
            if isinstance(tick, Exception):
                log.warning("namespace %s: heartbeat: %r", record["body"], tick, exc_info=tick)
                metrics.tell(names.HEARTBEAT, metrics.FAILED, 1, namespace=record["body"])
                again.append((record, TICK_S))
            elif isinstance(tick, BaseException):
                raise tick
            elif tick is not None:
                if tick.late_s > TICK_S:
                    metrics.tell(names.HEARTBEAT, metrics.LATE_S, round(tick.late_s, 3), namespace=record["body"])
                again.append((record, math.ceil(tick.pause_s)))
        if again:
            await self._service.queues.tick_again(again)
        return [record["messageId"] for record, _ in again]

    async def _tick(self, record: Record) -> Optional[Ticked]:
        sent_ms = int(record["attributes"]["SentTimestamp"])
        tick = Tick.of(record["body"], sent_ms, record["messageId"])
        return await asyncio.wait_for(_again_if_cut_off(lambda: self._service.pulse(tick)), MAX_TICK_S)

    async def dead_letters(self, seconds: float) -> int:
        """Keeps what the writer never got done with, whatever ended it, and tells its senders; how many there were.

        What can't be kept comes again, and is no reason to leave the rest: it is raised when that is done.
        """
        queues, ends_s, done = self._service.queues, time.monotonic() + seconds, 0
        failed: Optional[Exception] = None
        while time.monotonic() < ends_s:
            letters = await queues.dead_letters()
            if not letters:
                break
            kept = []
            for letter in letters:
                try:
                    await self.dead_letter([_record_of(letter)])
                    kept.append(letter)
                except Exception as error:
                    log.exception("message %s stays in the queue of dead letters", letter["MessageId"])
                    failed = error
            if kept:
                await queues.forget_dead_letters(kept)
            done += len(kept)
        if failed is not None:
            raise failed
        return done

    async def dead_letter(self, records: Sequence[Record]) -> List[str]:
        """Dead letters, as a queue would hand them over."""
        for record in records:
            await self._set_aside(record, names.DEAD_LETTER)
        return []

    async def _set_aside(self, record: Record, function: str) -> None:
        """Keeps a message, and tells its sender."""
        ns = record["attributes"]["MessageGroupId"]
        log.error("namespace %s: message %s set aside", ns, record["messageId"])
        metrics.tell(function, metrics.ASIDE, 1, namespace=ns)
        body = _body(record)
        await self._keep(ns, record["messageId"], body or record["body"].encode())
        try:
            message = decode(body)
        except codec.Malformed:
            return
        if not is_sender(message, body, await self._session(ns, message.session)):
            return  # somebody else would be told
        results = [(Error.DEAD_LETTERED, None, 0)] * len(message.requests)
        notes = answer_notes([(message.inbox, message.first, results)], trigger_log_of(0, 0, []))
        await self._service.queues.push(notes)

    async def _session(self, ns: str, session: int) -> Optional[Session]:
        (item,) = await self._service.store.get([layout.session_key(ns, session)])
        return None if item is None else layout.session_of(item)

    async def sweep(self) -> Record:
        """Removes what nothing belongs to any more. How much of what."""
        service = self._service
        return (await Sweep(service.store, service.queues, service.blobs, service.orders)())._asdict()

    async def _keep(self, ns: str, message_id: str, body: bytes) -> None:
        bucket = names.bucket(os.environ["FK_DEPLOYMENT"], self._service.queues.account, self._service.clients.region)
        await self._service.clients.s3.put_object(Bucket=bucket, Key="dead/%s/%s" % (ns, message_id), Body=body)


# --- as Lambda calls them -------------------------------------------------------------------------

_environment: List[Tuple[asyncio.AbstractEventLoop, Service]] = []
"""Made in the init phase, or, where that failed, by the first invocation."""
TURNS = 4
"""Of the event loop, until it has given up a connection that was closed: it reads, and tells TLS, HTTP and the pool."""
INIT_S = 5.0
"""So long making it may take in the init phase.

Lambda Developer Guide, "Lambda execution environment": the init phase is limited to 10 s, and has the whole processor.
"""


def _run(work: Callable[[Functions], Awaitable[Any]]) -> Any:
    loop, service = _made()
    loop.run_until_complete(_thawed())
    return loop.run_until_complete(work(Functions(service)))


async def _thawed() -> None:
    """Whoever closed a connection while the environment stood still has told so: it is read before one is used."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _made(within_s: Optional[float] = None) -> Tuple[asyncio.AbstractEventLoop, Service]:
    if not _environment:
        loop = asyncio.new_event_loop()
        making = build(os.environ["FK_DEPLOYMENT"], os.environ.get("FK_SUPER"))
        try:
            _environment.append((loop, loop.run_until_complete(asyncio.wait_for(making, within_s))))
        except BaseException:
            loop.close()
            raise
    return _environment[0]


def _init() -> None:
    """While Lambda imports this: what the first invocation would have to do otherwise, while somebody waits for it."""
    try:
        _made(INIT_S)
    except Exception as error:  # whatever it is, the first invocation meets it again, and its caller hears of it
        log.warning("nothing is prepared: %r", error)


def _failures(message_ids: Sequence[str]) -> Record:
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in message_ids]}


def _seconds(context: Any) -> float:
    """What an invocation may take."""
    return float(context.get_remaining_time_in_millis()) / 1000.0 - MARGIN_S


def writer(event: Record, context: Any) -> Record:
    """For messages of the writes queue, and for clients that invoke it."""
    seconds = _seconds(context)
    if str(context.invoked_function_arn).endswith(":" + names.DIRECT):  # a client: it may say what it likes
        answer: Record = _run(lambda functions: functions.direct(event, seconds))
        return answer
    return _failures(_run(lambda functions: functions.writer(event["Records"], seconds)))


def heartbeat(event: Record, context: object) -> Record:
    """For messages of the timer queue."""
    return _failures(_run(lambda functions: functions.heartbeat(event["Records"])))


def dead_letter(event: Record, context: Any) -> Record:
    """Every few minutes; and for messages of the dead-letter queue, while a release before this one is replaced."""
    if event["Records"]:
        return _failures(_run(lambda functions: functions.dead_letter(event["Records"])))
    return {"kept": _run(lambda functions: functions.dead_letters(_seconds(context)))}


def sweep(event: Record, context: object) -> Record:
    """Once a day."""
    swept: Record = _run(lambda functions: functions.sweep())
    log.info("swept: %s", swept)
    return swept


def close() -> None:
    """For who runs environments in a process that goes on after them. On AWS nobody calls it."""
    while _environment:
        loop, service = _environment.pop()
        loop.run_until_complete(service.clients.close())
        loop.close()


if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    _init()
