"""Checks of what many do at once: connect, write in namespaces that share batches, read while a node is made anew."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Dict, List

from kazoo.exceptions import NoNodeError

from fk_backend.providers.aws import names

from .context import CheckContext
from .outcome import Stopped

CONNECTS, AT_ONCE = 100, 25
GROUPS, WRITES = 8, 20
READERS = 4
KEPT_S = 90.0
"""So long a dead letter may take until it is kept: the function may start for it."""


def connects(context: CheckContext) -> Dict[str, Any]:
    """100 clients come, 25 at a time, read, and go; each connection is a session of its own."""

    def connect(number: int) -> str:
        context.go_on()
        try:
            began = time.perf_counter()
            with context.client("connects") as client:
                context.samples.add("fk_kazoo_connect", 0, (time.perf_counter() - began) * 1000)
                client.exists("/")
        except Stopped:
            raise
        except Exception as error:
            return "client %d: %r" % (number, error)
        return ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failed = [one for one in pool.map(connect, range(CONNECTS)) if one]
    assert not failed, "%d of %d did not connect: %s" % (len(failed), CONNECTS, failed[0])
    return {"clients": CONNECTS, "at_once": AT_ONCE}


def mixed_groups(context: CheckContext) -> Dict[str, Any]:
    """Several namespaces write at once, so that batches hold several groups; in one of them somebody sends nonsense."""
    queue = context.account.cloud.client("sqs")
    url = queue.get_queue_url(QueueName=names.writes_queue(context.name))["QueueUrl"]
    with ExitStack() as stack:
        clients = [stack.enter_context(context.client("group-%d" % n)) for n in range(GROUPS)]
        for client in clients:
            client.create("/verify")
        for round_ in range(WRITES):
            context.go_on()
            asked = [client.create_async("/verify/n-", sequence=True) for client in clients]
            _nonsense(queue, url, "group-0", "not base64 %d" % round_)
            for number, one in enumerate(asked):
                made = one.get(context.answer_timeout_s)
                assert made == "/verify/n-%010d" % round_, "group-%d: %s in round %d" % (number, made, round_)
        counts = [len(client.get_children("/verify")) for client in clients]
    assert counts == [WRITES] * GROUPS, counts
    return {"namespaces": GROUPS, "writes_of_each": WRITES, "messages_that_nobody_understands": WRITES}


def _nonsense(queue: Any, url: str, group: str, body: str) -> None:
    queue.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=uuid.uuid4().hex)


def poison(context: CheckContext) -> Dict[str, Any]:
    """A dead letter is kept and its queue empties; what nobody understands holds nobody up."""
    cloud = context.account.cloud
    queue, storage = cloud.client("sqs"), cloud.client("s3")
    body = "dead letter %s" % uuid.uuid4().hex
    with context.client("poison") as client:
        client.create("/verify")
        writes = queue.get_queue_url(QueueName=names.writes_queue(context.name))["QueueUrl"]
        _nonsense(queue, writes, "poison", body)
        began = time.monotonic()
        client.set("/verify", b"behind it")
        behind_s = time.monotonic() - began
        _nonsense(queue, queue.get_queue_url(QueueName=names.dead_queue(context.name))["QueueUrl"], "poison", body)
        bucket = names.bucket(context.name, cloud.account, cloud.region)
        context.account.collect_dead_letters(context.name)

        def kept() -> List[bytes]:
            found = storage.list_objects_v2(Bucket=bucket, Prefix="dead/poison/").get("Contents", ())
            return [storage.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found]

        found = context.eventually(kept, "the dead letter is kept", KEPT_S)
        assert found == [body.encode()], found
        kept_s = time.monotonic() - began
        assert client.get("/verify")[0] == b"behind it"
    return {"next_write_s": round(behind_s, 2), "kept_s": round(kept_s, 2)}


def torn_reads(context: CheckContext) -> Dict[str, Any]:
    """``multi(delete /b, create /b)`` beside readers: no state is seen that never was.

    /b gets a child and loses it, and is then made anew, in one multi. So it is always there; its ``cversion`` counts 0,
    1, 2; its ``pzxid`` is its ``czxid`` exactly where it is 0; and it has a child exactly where it is 1.
    """
    done, seen, rounds = threading.Event(), [0], 0
    wrong: List[str] = []
    with ExitStack() as stack:
        writer = stack.enter_context(context.client("torn"))
        writer.create("/b", b"0")
        readers = [stack.enter_context(context.client("torn")) for _ in range(READERS)]

        def read(client: Any) -> None:
            last = (0, 0)
            while not done.is_set() and not wrong:
                try:
                    children, stat = client.get_children("/b", include_data=True)
                except NoNodeError:
                    wrong.append("/b was missing")
                    return
                except Exception as error:
                    wrong.append("a reader failed: %r" % error)
                    return
                now, seen[0] = (stat.czxid, stat.pzxid), seen[0] + 1
                if is_torn(stat, children) or now < last:
                    wrong.append("%s with %s after %s" % (stat, children, last))
                last = now

        threads = [threading.Thread(target=read, args=(one,), daemon=True) for one in readers]
        for thread in threads:
            thread.start()
        until = time.monotonic() + context.scale.load_s
        try:
            while time.monotonic() < until and not wrong:
                context.go_on()
                rounds += 1
                _recreate(writer, rounds)
        finally:
            done.set()
            for thread in threads:
                thread.join(context.answer_timeout_s)
    assert not wrong, wrong[0]
    assert seen[0] > rounds, "%d reads beside %d rounds" % (seen[0], rounds)
    return {"rounds": rounds, "reads": seen[0]}


def is_torn(stat: Any, children: List[str]) -> bool:
    """Whether /b never was like this."""
    has_child = stat.cversion == 1
    return (
        stat.cversion not in (0, 1, 2)
        or (stat.pzxid == stat.czxid) != (stat.cversion == 0)
        or stat.numChildren != int(has_child)
        or len(children) != int(has_child)
    )


def _recreate(client: Any, number: int) -> None:
    client.create("/b/c")
    client.delete("/b/c")
    together = client.transaction()
    together.delete("/b")
    together.create("/b", b"%d" % number)
    results = together.commit()
    assert results[1] == "/b", results
