"""The event source mapping on queues of the emulator, as AWS documents it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev.documented import CHAINS, DOCUMENTED
from fk_backend.providers.aws.dev.environment import EVENT_LIMIT
from fk_backend.providers.aws.dev.function import Invocation, encoded
from fk_backend.providers.aws.dev.lineage import MOST, lineage_of, longest, suffix
from fk_backend.providers.aws.dev.mapping import Mapping, failures

from .conftest import Bench, until


def _ids(count: int) -> List[Dict[str, Any]]:
    return [{"id": n} for n in range(count)]


def test_messages_come_in_order_and_go_when_they_are_done(bench: Bench) -> None:
    bench.send(*_ids(5))
    bench.host("work")
    until(lambda: len(bench.ended()) == 5)
    assert bench.ended() == [0, 1, 2, 3, 4]
    assert {note["batch"] for note in bench.notes("end")} == {5}
    until(lambda: bench.left() == 0)


def test_order_is_kept_under_failures_of_every_kind(bench: Bench) -> None:
    bench.hurry()
    orders = ["ok", "raise", "fail", "ok", "fail", "raise", "ok"]
    bench.send(*({"id": n, "do": order, "times": 1} for n, order in enumerate(orders)))
    bench.host("work", batch_size=3)
    until(lambda: bench.left() == 0)
    seen: List[int] = []
    for number in bench.ended():  # worked off again after a failure: once more in the same order
        if number not in seen:
            seen.append(number)
    assert seen == list(range(len(orders)))


def test_groups_are_served_at_the_same_time(bench: Bench) -> None:
    """Each waits in the function for the others: one after the other they would never meet."""
    for group in "abc":
        bench.send({"id": group, "do": "meet", "others": 3}, group=group)
    bench.host("work", timeout_s=50, batch_size=1)
    until(lambda: sorted(bench.ended()) == ["a", "b", "c"])


def test_one_batch_of_a_group_at_a_time(bench: Bench) -> None:
    for group in "ab":
        bench.send(*_ids(8), group=group)
    bench.host("work", batch_size=1)
    until(lambda: len(bench.ended()) == 16)
    for group in "ab":
        whats = [note["what"] for note in bench.notes() if note["group"] == group]
        assert whats == ["begin", "end"] * 8
        assert bench.ended(group) == list(range(8))


def test_what_is_sent_while_a_batch_is_with_the_function_waits(bench: Bench, tmp_path: Path) -> None:
    bench.send({"id": 0, "do": "wait", "file": str(tmp_path / "go"), "times": 1})
    bench.host("work", timeout_s=50, concurrency=5)
    until(lambda: bench.notes("begin"))
    bench.send({"id": 1}, group="a")
    bench.send({"id": 2}, group="b")
    until(lambda: bench.ended("b"))  # it was received after the other one was sent
    assert [note["id"] for note in bench.notes("begin") if note["group"] == "a"] == [0]
    (tmp_path / "go").touch()
    until(lambda: 1 in bench.ended("a"))


def _chain(bench: Bench, until_id: int, recursive: bool) -> Mapping:
    host = bench.host("again", fifo=False, processes=True, recursive=recursive)
    client, url = bench.account.client("sqs"), bench.account.queue_url(bench.queue(fifo=False))
    client.send_message(QueueUrl=url, MessageBody='{"id": 1, "until": %d}' % until_id)
    return host.mappings[0]


def test_a_function_that_feeds_its_own_queue_is_stopped(bench: Bench) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html: about 16 times, and not once more."""
    mapping = _chain(bench, 30, recursive=False)
    until(lambda: mapping.function.dropped)
    assert bench.ended() == list(range(1, MOST + 1))
    assert bench.left(bench.queue(fifo=False)) == 1, "what it was not invoked for stays"


def test_a_function_that_may_feed_its_own_queue_goes_on(bench: Bench) -> None:
    mapping = _chain(bench, MOST + 4, recursive=True)
    until(lambda: len(bench.ended()) == MOST + 4)
    assert not mapping.function.dropped


def test_a_function_that_feeds_its_own_queue_goes_on_where_the_rule_is_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DOCUMENTED, "all,-" + CHAINS)
    mapping = _chain(bench, MOST + 4, recursive=False)
    until(lambda: len(bench.ended()) == MOST + 4)
    assert not mapping.function.dropped


def test_a_chain_counts_each_function_and_of_a_batch_the_longest() -> None:
    def record(header: str) -> Dict[str, Any]:
        return {"attributes": {"AWSTraceHeader": header}}

    root = "Root=1-00000000-aa;Sampled=0"
    first = root + suffix({}, "a")
    second = root + suffix(lineage_of(first), "b")
    third = root + suffix(lineage_of(second), "a")
    assert lineage_of(third) == {"a": 2, "b": 1}
    assert longest([record(first), record(third), record(root), record("Lineage=nonsense"), {"attributes": {}}]) == {
        "a": 2,
        "b": 1,
    }


def test_a_batch_may_hold_several_groups(bench: Bench) -> None:
    for group in "ab":
        bench.send(*_ids(2), group=group)
    bench.host("work")
    until(lambda: len(bench.ended()) == 4)
    assert {note["batch"] for note in bench.notes("end")} == {4}


def test_an_error_leaves_the_batch_until_it_is_visible_again(bench: Bench) -> None:
    bench.hurry()
    bench.send({"id": 0}, {"id": 1, "do": "raise", "times": 1}, {"id": 2})
    bench.host("work")
    until(lambda: bench.left() == 0)
    assert bench.ended() == [0, 0, 1, 2]
    assert [note["count"] for note in bench.notes("begin")] == [1, 1, 2, 2, 2]


def test_only_what_is_named_as_failed_comes_again(bench: Bench) -> None:
    bench.hurry()
    bench.send({"id": 0}, {"id": 1, "do": "fail", "times": 1}, {"id": 2})
    bench.host("work")
    until(lambda: bench.left() == 0)
    assert bench.ended() == [0, 1, 2]
    assert [note["count"] for note in bench.notes("begin")] == [1, 2, 2]


def test_naming_only_the_first_failure_loses_the_others_order(bench: Bench) -> None:
    """AWS deletes what is not named, also on a FIFO queue: a function that forgets the rest must be seen to."""
    bench.hurry()
    bench.send({"id": 0, "answer": "first"}, {"id": 1})
    bench.host("whole")
    until(lambda: len(bench.notes()) == 2)
    assert [note["ids"] for note in bench.notes()] == [[0, 1], [0]]


def test_a_result_that_makes_no_sense_fails_the_batch(bench: Bench) -> None:
    """A group for each; every one is received three times and then dead."""
    bench.hurry()
    answers = [
        "nonsense",
        {"batchItemFailures": "all"},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "1"}]},
        {"batchItemFailures": ["1"]},
        {"batchItemFailures": [{"itemIdentifier": "of another message"}]},
    ]
    seen: List[Invocation] = []
    for n, answer in enumerate(answers):
        bench.send({"id": n, "answer": answer}, {"id": n}, group=str(n))
    bench.host("whole", dead_letters=True, observe=seen.append, batch_size=2)
    until(lambda: bench.left() == 0)
    batches = [note["ids"] for note in bench.notes() if len(note["ids"]) == 2]
    assert sorted(batches) == sorted([n, n] for n in range(len(answers)) for _ in range(3))


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, {"other": 1}, ""])
def test_results_that_mean_success(answer: Any) -> None:
    assert failures(answer) == set()


def test_without_partial_responses_the_result_does_not_matter(bench: Bench) -> None:
    bench.send({"id": 0, "answer": "first"}, {"id": 1})
    bench.host("whole", report_failures=False)
    until(lambda: bench.left() == 0)
    assert [note["ids"] for note in bench.notes()] == [[0, 1]]


def test_poison_goes_to_the_dead_letter_queue_and_what_is_behind_it_is_served(bench: Bench) -> None:
    bench.hurry()
    bench.send({"id": 0, "do": "raise"}, {"id": 1}, group="a")
    bench.host("work", batch_size=1, dead_letters=True)
    until(lambda: bench.ended() == [1])
    until(lambda: bench.notes("batch"))
    assert [note["count"] for note in bench.notes("begin") if note["id"] == 0] == [1, 2, 3]
    assert [note["ids"] for note in bench.notes("batch")] == [[0]]
    until(lambda: bench.left(names.dead_queue(bench.account.name)) == 0)


def test_a_standard_queue_in_batches_and_with_delay(bench: Bench) -> None:
    bench.send(*_ids(4), fifo=False)
    bench.send({"id": "later"}, fifo=False, DelaySeconds=1)
    bench.host("work", fifo=False)
    until(lambda: len(bench.ended()) == 5)
    assert sorted(bench.ended()[:4]) == [0, 1, 2, 3]
    assert bench.ended()[4] == "later"
    until(lambda: bench.left(bench.queue(fifo=False)) == 0)


def test_what_is_over_the_limit_of_an_event_comes_in_parts_in_order(bench: Bench) -> None:
    seen: List[Invocation] = []
    for n in range(8):
        bench.send({"id": n, "text": "é" * (500_000)})
    bench.host("whole", observe=seen.append)
    until(lambda: bench.left() == 0)
    assert all(one.error is None and len(encoded(one.event)) <= EVENT_LIMIT for one in seen)
    assert [one for note in bench.notes() for one in note["ids"]] == list(range(8))
    assert len(seen) == 2


def test_records_are_shaped_as_on_aws(bench: Bench) -> None:
    seen: List[Invocation] = []
    attributes = {
        "text": {"DataType": "String", "StringValue": "x"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    bench.send({"id": 0}, MessageAttributes=attributes)
    bench.host("work", observe=seen.append)
    until(lambda: seen)
    (record,) = seen[0].event["Records"]
    assert set(record) == {
        *("messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfBody"),
        *("md5OfMessageAttributes", "eventSource", "eventSourceARN", "awsRegion"),
    }
    assert set(record["attributes"]) == {
        *("ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "SentTimestamp", "SenderId"),
        *("SequenceNumber", "MessageGroupId", "MessageDeduplicationId"),
    }
    assert all(isinstance(value, str) for value in record["attributes"].values())
    assert record["body"] == '{"id": 0}'
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == bench.account.queue_arn(bench.queue())
    assert record["awsRegion"] == "us-east-1"
    assert record["messageAttributes"]["text"] == {
        "stringValue": "x",
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": "String",
    }
    assert record["messageAttributes"]["bytes"]["binaryValue"] == "AP8="


def test_a_queue_that_is_gone_for_a_while_is_served_again(bench: Bench) -> None:
    troubles: List[str] = []
    client, name = bench.account.client("sqs"), bench.queue(fifo=False)
    client.delete_queue(QueueUrl=bench.account.queue_url(name))
    bench.host("work", fifo=False, trouble=troubles.append)
    until(lambda: troubles)
    client.create_queue(QueueName=name)
    bench.send({"id": 0}, fifo=False)
    until(lambda: bench.ended() == [0])


def test_a_host_that_drains_leaves_nothing_in_flight(bench: Bench, tmp_path: Path) -> None:
    bench.send({"id": 0, "do": "wait", "file": str(tmp_path / "go")})
    host = bench.host("work", timeout_s=50)
    until(lambda: bench.notes("begin"))
    (tmp_path / "go").touch()
    host.stop(drain=True)
    assert bench.ended() == [0]
    bench.send({"id": 1})
    bench.host("work")
    until(lambda: bench.ended() == [0, 1])
    assert [note["count"] for note in bench.notes("begin")] == [1, 1]
