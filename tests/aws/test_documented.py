"""Each rule of AWS that the emulator is made to keep: where it is on, and not where it is off."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any, Callable, Dict, Iterator, List
from unittest import mock

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev import documented, resources
from fk_backend.providers.aws.dev.documented import DOCUMENTED, RULES, NoSuchRule, rules
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.resources import Account
from fk_backend.providers.aws.queues import Queues

Check = Callable[[Account], bool]
ALL = "all,late-queues=0.3,deduplication-ends=0.2"
TABLE = names.table("test", "state")


@pytest.fixture(scope="module")
def everything() -> Iterator[Emulator]:
    if sys.version_info < (3, 10):
        pytest.skip("the emulator needs Python 3.10")
    with Emulator(environment={DOCUMENTED: ALL}) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def nothing() -> Iterator[Emulator]:
    if sys.version_info < (3, 10):
        pytest.skip("the emulator needs Python 3.10")
    with Emulator(environment={DOCUMENTED: ""}) as emulator:
        yield emulator


def _once(account: Account, service: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=64)
    return account.session().client(service, endpoint_url=account.endpoint_url, config=config)


def _code(ask: Callable[[], Any]) -> str:
    try:
        ask()
        return ""
    except ClientError as error:
        return str(error.response["Error"]["Code"])


def _row(number: int, size: int = 1) -> Dict[str, Any]:
    return {"p": {"S": "p"}, "s": {"S": "%04d" % number}, "b": {"B": b"x" * size}}


def _queue(account: Account, name: str, **attributes: str) -> str:
    fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    url = str(_once(account, "sqs").create_queue(QueueName=name, Attributes={**fifo, **attributes})["QueueUrl"])
    sqs = _once(account, "sqs")
    while _code(lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])):
        pass
    return url


def _late(account: Account) -> bool:
    sqs = _once(account, "sqs")
    url = sqs.create_queue(QueueName="late")["QueueUrl"]
    return bool(_code(lambda: sqs.send_message(QueueUrl=url, MessageBody="x")))


def _lags(account: Account) -> bool:
    sqs, url = _once(account, "sqs"), _queue(account, "counted")

    def count() -> str:
        asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return str(asked["Attributes"]["ApproximateNumberOfMessages"])

    assert count() == "0"
    sqs.send_message(QueueUrl=url, MessageBody="x")
    return count() == "0"


def _sent(sqs: Any, url: str, number: int, group: str = "g") -> int:
    more = {"MessageGroupId": group, "MessageDeduplicationId": "d%d" % number}
    return int(sqs.send_message(QueueUrl=url, MessageBody="x", **more)["SequenceNumber"])


def _forgets(account: Account) -> bool:
    sqs, url = _once(account, "sqs"), _queue(account, "known.fifo")
    first = _sent(sqs, url, 1)
    assert _sent(sqs, url, 1) == first
    for number in range(2, 2000):
        if _sent(sqs, url, 1) != first:
            return True
        if number == 300:
            break
    return False


def _begins_anew(account: Account) -> bool:
    sqs, url = _once(account, "sqs"), _queue(account, "numbered.fifo")
    before = [_sent(sqs, url, number) for number in range(3)][-1]
    sqs.delete_queue(QueueUrl=url)
    return _sent(sqs, _queue(account, "numbered.fifo"), 9) < before


def _mixes(account: Account) -> bool:
    sqs, url = _once(account, "sqs"), _queue(account, "mixed.fifo")
    for number in range(6):
        _sent(sqs, url, number, "g%d" % (number % 2))
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])["Messages"]
    assert len(found) in (3, 6) and {one["Attributes"]["ApproximateReceiveCount"] for one in found} == {"1"}
    return len({one["Attributes"]["MessageGroupId"] for one in found}) > 1


def _ends_idle(account: Account) -> bool:
    async def check() -> bool:
        host, _, port = account.endpoint_url.rpartition("//")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /_ministack/health HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            await asyncio.wait_for(reader.read(), 3)
            return True
        except asyncio.TimeoutError:
            return False
        finally:
            writer.close()

    return asyncio.run(check())


def _throttles(account: Account) -> bool:
    database = _once(account, "dynamodb")
    codes = {_code(lambda: database.put_item(TableName=TABLE, Item=_row(1, 300_000))) for _ in range(8)}
    assert codes <= {"", "ProvisionedThroughputExceededException"}
    return len(codes) == 2


def _tears(account: Account) -> bool:
    """While rows are written together, a query shows some of before and some of after."""
    database = _once(account, "dynamodb")

    def write(value: int) -> None:
        puts = [{"Put": {"TableName": TABLE, "Item": {**_row(n), "v": {"N": str(value)}}}} for n in range(8)]
        database.transact_write_items(TransactItems=puts)

    def read() -> Any:
        asked = {"TableName": TABLE, "ConsistentRead": True, "KeyConditionExpression": "p = :p"}
        return database.query(ExpressionAttributeValues={":p": {"S": "p"}}, **asked)["Items"]

    async def check() -> bool:
        loop = asyncio.get_running_loop()
        write(0)
        for value in range(1, 60):
            writing = loop.run_in_executor(None, write, value)
            while not writing.done():
                rows = await loop.run_in_executor(None, read)
                if len({row["v"]["N"] for row in rows}) > 1:
                    await writing
                    return True
            await writing
        return False

    return asyncio.run(check())


def _conflicts(account: Account) -> bool:
    database = _once(account, "dynamodb")

    def write(_: int) -> str:
        put = {"Put": {"TableName": TABLE, "Item": _row(1)}}
        return _code(lambda: database.transact_write_items(TransactItems=[put]))

    async def check() -> List[str]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(None, write, n) for n in range(40)))

    return "TransactionCanceledException" in asyncio.run(check())


def _leaves_keys(account: Account) -> bool:
    database = _once(account, "dynamodb")
    keys = [{name: value for name, value in _row(n).items() if name != "b"} for n in range(4)]
    answers = [database.batch_get_item(RequestItems={TABLE: {"Keys": keys}}) for _ in range(3)]
    puts = [{"PutRequest": {"Item": _row(n)}} for n in range(4)]
    answers += [database.batch_write_item(RequestItems={TABLE: puts}) for _ in range(3)]
    left = [bool(answer.get("UnprocessedKeys") or answer.get("UnprocessedItems")) for answer in answers]
    assert sum(left) in (0, 2)
    return any(left)


def _leaves_entries(account: Account) -> bool:
    sqs, url = _once(account, "sqs"), _queue(account, "batches")
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(3)]
    answers = [sqs.send_message_batch(QueueUrl=url, Entries=entries) for _ in range(3)]
    return any(answer.get("Failed") for answer in answers)


CHECKS: Dict[str, Check] = {
    documented.LATE_QUEUES: _late,
    documented.LAGGING_COUNTERS: _lags,
    documented.DEDUPLICATION: _forgets,
    documented.SEQUENCE: _begins_anew,
    documented.MIXED: _mixes,
    documented.IDLE: _ends_idle,
    documented.THROTTLING: _throttles,
    documented.ROW_BY_ROW: _tears,
    documented.CONFLICT: _conflicts,
    documented.PARTIAL_DB: _leaves_keys,
    documented.PARTIAL_SQS: _leaves_entries,
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", CHECKS)
def test_a_rule_is_kept_where_it_is_on_and_not_where_it_is_off(
    rule: str, everything: Emulator, nothing: Emulator
) -> None:
    found = []
    for emulator in (everything, nothing):
        account = resources.new_account(emulator.url, "test")
        resources._tables(account)
        found.append(CHECKS[rule](account))
    assert found == [True, False]


def test_every_rule_is_tried_and_cites_its_page() -> None:
    """Chains of requests are counted by the host: `tests/aws/lambda_host/test_mapping.py`."""
    assert CHECKS.keys() | {documented.CHAINS} == RULES.keys()
    assert all(re.fullmatch(r"https://docs\.aws\.amazon\.com/\S+\.html", rule.page) for rule in RULES.values())


def test_what_the_variable_may_say() -> None:
    always = {name for name, rule in RULES.items() if rule.always}
    assert set(rules({})) == always and rules({DOCUMENTED: ""}) == {}
    assert rules({DOCUMENTED: "all"}) == {name: rule.value for name, rule in RULES.items()}
    assert rules({DOCUMENTED: "all,-mixed-batches"}).keys() == RULES.keys() - {"mixed-batches"}
    assert rules({DOCUMENTED: "late-queues=1.5, mixed-batches"}) == {"late-queues": 1.5, "mixed-batches": 1.0}
    with pytest.raises(NoSuchRule):
        rules({DOCUMENTED: "mixed"})


def test_what_sqs_fails_to_hide_is_hidden_by_another_try() -> None:
    """Else a batch that has to come again in 2 s, or the next tick, came when its visibility was over: 30 s later."""
    failed = {"Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False}]}
    gone = {"Failed": [{"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}]}
    sqs = mock.Mock(change_message_visibility_batch=mock.AsyncMock(side_effect=[failed, {}, gone]))
    queues = Queues(mock.Mock(sqs=sqs), "test", "http://queue/1/")
    asyncio.run(queues.tick_again([({"receiptHandle": "a"}, 2), ({"receiptHandle": "b"}, 7)]))
    asked = [call.kwargs["Entries"] for call in sqs.change_message_visibility_batch.await_args_list]
    assert [[entry["ReceiptHandle"] for entry in entries] for entries in asked] == [["a", "b"], ["b"]]
    asyncio.run(queues.tick_again([({"receiptHandle": "a"}, 2)]))
    assert sqs.change_message_visibility_batch.await_count == 3
