"""What anybody with a client's permissions stores or sends in the cloud stops no function, and nobody else's session.

DynamoDB checks the types of keys and nothing else; SQS takes any text for any group; and a client makes its own inbox,
with whatever attributes it likes.
"""

from __future__ import annotations

import asyncio
import base64
import random
import time
from typing import Any, Dict, List, Tuple
from unittest import mock

import pytest
from botocore import exceptions as sdk

from fk_backend import layout
from fk_backend.core import watches
from fk_backend.core.model import Blob, Error
from fk_backend.core.requests import Close, Open, SetData, WatchSubtrees
from fk_backend.errors import Refused, Unavailable
from fk_backend.messages import Message, encode
from fk_backend.ports import INTEREST, Item, Pushed, Put
from fk_backend.providers.aws import names, sweep
from fk_backend.providers.aws.blobs import S3Blobs
from fk_backend.providers.aws.handlers import Functions
from fk_backend.providers.aws.queues import Queues
from fk_backend.providers.aws.store import _item

from ..conftest import DEPLOYMENT, Account
from .scenes import create
from .stage import Run, Scene, Stage, Told, record, told
from .wire import Process, carried_by

INBOX = "0" * 32
NUMBERS: Tuple[Any, ...] = (
    None, {"N": "0"}, {"N": "-1"}, {"N": "1.5"}, {"N": "9" * 38}, {"N": "1E+100"}, {"S": "1"}, {"B": b"1"},
    {"NULL": True}, {"L": []}, {"M": {}}, {"BOOL": True}, {"N": "1"},
)  # fmt: skip


def _rows(ns: str, r: random.Random, count: int) -> List[Dict[str, Any]]:
    """Items that a client with the policy of the namespace may write."""
    rows = []
    for _ in range(count):
        mode = r.choice((*sorted(watches.MODES), "1", "0", "3", "", ":"))
        name = r.choice(("hostile", INBOX, "a:b", "x" * 200, ".", "é", "a b"))
        place = r.choice(("/", "/a", "a", "//", "/x:beats", "/x:hello"))
        partition, sort = r.choice(
            (
                ("%s:%s" % (ns, place), "%s:%s" % (mode, name)),
                (ns + ":/a", r.choice(("1:hostile", "data", name))),
                (ns + ":*", "%s:%s" % (place, name)),
                (ns + ":*", name),
                (ns + ":beats", r.choice(("%016x" % r.getrandbits(60), name))),
                (ns + ":hello", name),
                (ns + ":", name),
            )
        )
        row: Dict[str, Any] = {names.PARTITION: {"S": partition}, names.SORT: {"S": sort}}
        number, body = r.choice(NUMBERS), r.choice((None, {"B": b"x"}, {"S": "x"}))
        row.update({names.REV: number} if number else {})
        row.update({names.BODY: body} if body else {})
        rows.append(row)
    return rows


def _bodies(ns: str) -> List[Tuple[str, str, str]]:
    """(group, deduplication id, body) of messages."""
    opening = Message(INBOX, 0, 0, (Open(b"x", 1000, INBOX, "10.0.0.1"),))
    nameless = Message("", 0, 0, (Open(b"x", 1000, "", None),))
    foreign = Message(INBOX, 0, 0, (SetData("/a", Blob("uploads/other/x", 1), -1),))
    made = [base64.b64encode(encode(each)).decode() for each in (opening, nameless, foreign)]
    bodies = [*made, "é", "no base64", "", "AAAA", base64.b64encode(b"\0\0\0\4[[]]").decode()]
    return [(group, "heartbeat:%d" % n, body) for group in (ns, ns + ":/x", "é") for n, body in enumerate(bodies)]


def _record(group: str, sent_id: str, body: str) -> Any:
    raw: Any = record(group, Message(INBOX, 0, 0, (Close(),)))
    attributes = {**raw["attributes"], "MessageGroupId": group, "MessageDeduplicationId": sent_id}
    return {**raw, "body": body, "attributes": {**attributes, "ApproximateReceiveCount": "5"}}


def test_functions_go_on(aws_account: Account, at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writer, heartbeat, dead-letter function and sweeper, with 300 items and 24 messages that are none of ours."""
    monkeypatch.setattr(sweep, "MIN_AGE_S", 0.0)
    monkeypatch.setenv("FK_DEPLOYMENT", DEPLOYMENT)
    asyncio.run(_go_on())


async def _go_on() -> None:
    stage = await Stage.open()
    watched = (("one", "/a", watches.PERSISTENT), ("one", "/a", watches.RECURSIVE), ("two", "/a", watches.DATA))
    before = (("one", WatchSubtrees()), ("one", create("/a")))
    written = Scene(
        lambda s: [Message(s.inboxes["one"], s.ids["one"], 3, (SetData("/a", b"x", -1),))],
        roles=("one", "two"), before=before, watched=watched,
    )  # fmt: skip
    run = Run(stage, written, await stage.service())
    await run.prepare()
    for row in _rows(run.ns, random.Random(1), 300):
        await stage.clients.dynamodb.put_item(TableName=names.table(DEPLOYMENT, INTEREST), Item=row)
    functions = Functions(run.service)
    process = Process()
    with carried_by(process):
        forged = [_record(*each) for each in _bodies(run.ns)]
        assert await functions.writer(forged) == []
        assert await functions.writer(run.records) == []
        assert await functions.dead_letter(forged) == []
        tick = {"messageId": "t", "body": run.ns, "receiptHandle": "t", "attributes": {"SentTimestamp": "1"}}
        assert await functions.heartbeat([tick]) == []
        swept = await functions.sweep()
    heard: Dict[str, Told] = {role: told(process.pushed, inbox) for role, inbox in run.inboxes.items()}
    assert heard["one"].answers[3][0] == Error.OK
    assert {entry[:2] for entry in heard["one"].fired} == {("/a", watches.PERSISTENT), ("/a", watches.RECURSIVE)}
    assert {entry[:2] for entry in heard["two"].fired} == {("/a", watches.DATA)}
    assert swept["registrations"] > 0
    left = [key for key, _ in await run.service.store.scan(INTEREST, run.ns, limit=1 << 30)]
    assert all(layout.interest_of(key) is not None for key in left)
    await stage.clients.close()


def test_a_beat_that_can_not_be_added_to_begins_anew(aws_account: Account) -> None:
    """Its client writes it whole, where somebody wrote what is no number."""

    async def check() -> None:
        stage = await Stage.open()
        service = await stage.service()
        key = layout.beat_key("ns", 7)
        row = {names.PARTITION: {"S": key.partition}, names.SORT: {"S": key.sort}, names.REV: {"S": "x"}}
        await stage.clients.dynamodb.put_item(TableName=names.table(DEPLOYMENT, INTEREST), Item=row)
        with pytest.raises(Refused):
            await service.store.increment(key, 2)
        await service.store.commit([Put(key, Item(2, b""))])
        assert await service.store.increment(key, 2) == 4
        await stage.clients.close()

    asyncio.run(check())


@pytest.mark.parametrize("number", NUMBERS)
def test_any_row_is_an_item(number: Any) -> None:
    """Whatever its attributes are; what is no integer has the number that nothing of ours has."""
    row = {"p": {"S": "p"}, "s": {"S": "s"}, "b": {"S": "text"}, **({"r": number} if number else {})}
    item = _item(row)
    assert item is not None and type(item.rev) is int and item.body == b""


def _refusal(code: str, status: int = 400) -> sdk.ClientError:
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return sdk.ClientError(response, "SendMessage")


REFUSALS = [
    _refusal("AccessDenied", 403),
    _refusal("KMS.AccessDeniedException"),
    _refusal("KmsAccessDenied"),
    _refusal("InvalidParameterValue"),
    _refusal("AWS.SimpleQueueService.UnsupportedOperation"),
]


@pytest.mark.parametrize("error", REFUSALS, ids=str)
def test_an_inbox_that_takes_nothing_is_its_owners_loss(error: Exception) -> None:
    """By a policy, a key or a size that its client gave it: the writer would try for ever."""
    sqs = mock.Mock(send_message=mock.AsyncMock(side_effect=error), delete_queue=mock.AsyncMock(side_effect=error))
    queues = Queues(mock.Mock(sqs=sqs), DEPLOYMENT, "http://queue/1/")
    asyncio.run(queues.push([Pushed(INBOX, b"x")]))
    asyncio.run(queues.drop(INBOX))


@pytest.mark.parametrize("error", REFUSALS, ids=str)
def test_a_session_is_not_taken_for_dead_because_its_inbox_says_nothing(error: Exception) -> None:
    """That may be for want of a permission of ours: the sweeper would end all sessions there are."""
    sqs = mock.Mock(get_queue_attributes=mock.AsyncMock(side_effect=error))
    sqs.send_message = mock.AsyncMock(side_effect=error)
    queues = Queues(mock.Mock(sqs=sqs), DEPLOYMENT, "http://queue/1/")
    made_s = asyncio.run(queues.made_s(INBOX))
    assert made_s is not None and time.time() - made_s < sweep.MIN_AGE_S
    assert asyncio.run(queues.ping(INBOX)) is False, "who could not be asked is not judged"


@pytest.mark.parametrize("error", [_refusal("ExpiredToken", 403), _refusal("Throttling"), _refusal("x", 500)], ids=str)
def test_what_is_nobodys_fault_is_tried_again(error: Exception) -> None:
    """Our own credentials, or too much at once."""
    sqs = mock.Mock(send_message=mock.AsyncMock(side_effect=error))
    queues = Queues(mock.Mock(sqs=sqs), DEPLOYMENT, "http://queue/1/")
    with pytest.raises(Exception, match="m"):
        asyncio.run(queues.push([Pushed(INBOX, b"x")]))


@pytest.mark.parametrize(
    "error", [*REFUSALS, _refusal("InvalidObjectState", 403), _refusal("KeyTooLongError")], ids=str
)
def test_an_upload_that_can_not_be_had_is_refused(error: Exception) -> None:
    """Encrypted with a key that the writer may not use, or gone to the archive: its sender is told, others go on."""
    s3 = mock.Mock(copy_object=mock.AsyncMock(side_effect=error))
    blobs = S3Blobs(mock.Mock(s3=s3), "bucket")
    with pytest.raises(Refused):
        asyncio.run(blobs.keep("ns", "name", Blob("uploads/ns/x", 1)))


def test_a_copy_is_tried_again_while_nothing_can_be_copied() -> None:
    s3 = mock.Mock(copy_object=mock.AsyncMock(side_effect=_refusal("SlowDown", 503)))
    with pytest.raises(Unavailable):
        asyncio.run(S3Blobs(mock.Mock(s3=s3), "bucket").keep("ns", "name", Blob("uploads/ns/x", 1)))
