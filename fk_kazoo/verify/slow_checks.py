"""Checks that take minutes: a holder that dies late, a write after idleness, a message that comes again."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any, Dict, List

from kazoo.exceptions import CancelledError, KazooException
from kazoo.protocol.states import KazooState

from fk_backend.providers.aws import names

from .. import loop_thread
from .context import CheckContext

TIMEOUT_S = 10.0
RELEASED_S = 25.0
"""At the latest after the death: the timeout, a pause of 7 s between two ticks, 2 s, and two functions, both cold."""
LOCK = "/verify/lock"


def dead_holder(context: CheckContext) -> Dict[str, Any]:
    """A process takes a lock, lives for minutes, and is killed; somebody else waits for the lock."""
    url = context.at("holder")
    holder = subprocess.Popen(
        [sys.executable, "-m", "fk_kazoo.verify.programs", "hold", url, LOCK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=context.environment(),
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None
        context.eventually(lambda: holder.poll() is not None or _line(holder), "the holder has the lock")
        assert holder.poll() is None, "the holder ended by itself"
        return _kill_and_wait(context, holder)
    finally:
        holder.kill()
        holder.wait()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _kill_and_wait(context: CheckContext, holder: "subprocess.Popen[str]") -> Dict[str, Any]:
    with context.client("holder", timeout=TIMEOUT_S) as client:
        lock = client.Lock(LOCK, "waits")
        granted: List[float] = []

        def wait() -> None:
            try:
                lock.acquire()
            except (KazooException, CancelledError):
                return  # the run ends, and its client with it
            granted.append(time.monotonic())

        threading.Thread(target=wait, daemon=True).start()
        context.eventually(lambda: len(lock.contenders()) == 2, "somebody waits for the lock")
        context.wait(context.scale.held_s)
        assert holder.poll() is None and not granted, "the lock went to somebody else while its holder lived"
        holder.kill()
        died = time.monotonic()
        spare_s = context.answer_timeout_s if context.account.emulator else 0.0  # a busy machine's time is no fact
        at_most_s = RELEASED_S + spare_s
        context.eventually(lambda: granted, "the lock of the dead holder is released", at_most_s)
        took_s = granted[0] - died
        context.samples.add("fk_kazoo_lock_after_death", 0, took_s * 1000)
        lock.release()
    return {"held_s": context.scale.held_s, "released_after_s": round(took_s, 2), "at_most_s": at_most_s}


def idleness(context: CheckContext) -> Dict[str, Any]:
    """Nobody does anything in a whole deployment; then who was connected all the time writes, and somebody connects."""
    states: List[str] = []
    with context.client("idle", idle=True) as client:
        client.create("/verify", b"x" * 1024)
        client.add_listener(lambda state: states.append(str(state)))
        idle_s = context.idle_left_s()
        context.wait(idle_s)
        with context.samples.timed("fk_kazoo_set_after_idleness", 1024):
            client.set("/verify", b"y" * 1024)
        assert client.get("/verify")[0] == b"y" * 1024
        began = time.perf_counter()
        with context.client("idle", idle=True) as other:
            context.samples.add("fk_kazoo_connect_after_idleness", 0, (time.perf_counter() - began) * 1000)
            assert other.exists("/verify").version == 1
        assert not states and client.state == KazooState.CONNECTED, "the client was told %s" % states
    return {"idle_s": round(idle_s)}


def same_message(context: CheckContext) -> Dict[str, Any]:
    """The bytes of a create are sent again, by somebody else than the client, before and after SQS forgets them."""
    queue = context.account.cloud.client("sqs")
    url = queue.get_queue_url(QueueName=names.writes_queue(context.name))["QueueUrl"]
    with context.client("again") as client:
        client.create("/verify")
        sent = captured(client, lambda: client.create("/verify/n-", sequence=True))
        began = time.monotonic()
        first, second = context.scale.resent_s
        context.wait(began + first - time.monotonic())
        again = queue.send_message(**{**sent, "QueueUrl": url})
        client.set("/verify", b"1")  # whatever was in front of it is done
        count = len(client.get_children("/verify"))
        assert count == 1, "the message was done a second time after %.0f s" % first
        context.wait(began + second - time.monotonic())
        late = queue.send_message(**{**sent, "QueueUrl": url})
        client.set("/verify", b"2")
        count = len(client.get_children("/verify"))
        assert client.exists("/verify").version == 2 and client.state == KazooState.CONNECTED
    figures = {"sent_again_after_s": [first, second], "done_again_at_the_end": count > 1}
    numbers = [one.get("SequenceNumber", "") for one in (again, late)]
    if second > 300 and not context.account.emulator:
        figures["taken_as_new_at_the_end"] = numbers[0] != numbers[1]
    elif second <= 300:
        figures["note"] = "the wait was shortened: SQS had not forgotten it"
    return figures


def captured(client: Any, write: Any) -> Dict[str, Any]:
    """The parameters of the SendMessage that a write comes to; nobody else may write in the client's namespace."""
    sent: List[Dict[str, Any]] = []

    def keep(params: Dict[str, Any], **_: Any) -> None:
        if params.get("MessageGroupId") == client.deployment.namespace:  # connections are shared with other clients
            sent.append(dict(params))

    async def queue() -> Any:
        return (await client._connection._opening.gateway())._clients.sqs.meta.events

    events = loop_thread.run(client.handler, queue, 10.0)
    events.register("provide-client-params.sqs.SendMessage", keep)
    try:
        write()
    finally:
        events.unregister("provide-client-params.sqs.SendMessage", keep)
    assert sent, "the write was not sent to the queue"
    return sent[-1]
