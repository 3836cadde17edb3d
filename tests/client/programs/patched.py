"""kazoo's default handler under gevent or eventlet: ``patched.py KIND WHEN URL``.

WHEN everything is patched: before kazoo is ``imported``, before the client is ``made``, before it is ``started``, or
before it is ``restarted``. Asserts that every call is answered at once.
"""

from __future__ import annotations

import sys
import time as _time
import warnings
from typing import Any, Callable, List

KIND, WHEN, URL = sys.argv[1:]
LONGEST_S = 1.5
"""A hub that is not told of an answer sleeps until the next ping, which takes more than three seconds, or for ever."""

warnings.simplefilter("ignore")


def patch(when: str) -> None:
    """Patches everything if it is time to."""
    if when != WHEN:
        return
    if KIND == "gevent":
        from gevent import monkey

        monkey.patch_all()
    else:
        import eventlet

        eventlet.monkey_patch()


patch("imported")

import threading  # noqa: E402 (after the patching)

from kazoo.exceptions import NoNodeError  # noqa: E402

from fk_kazoo.client import KazooClient  # noqa: E402

clock = _time.monotonic


def timed(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The call's answer, which has to come at once."""
    started = clock()
    answer = call(*arguments, **options)
    assert clock() - started < LONGEST_S, (call, clock() - started)
    return answer


def calls(client: Any) -> None:
    """Each path on which an answer may come: alone, in a crowd, an error, a multi, by itself in a callback."""
    timed(client.ensure_path, "/n")
    for number in range(5):
        assert timed(client.set, "/n", b"%d" % number).version == number + 1
        assert timed(client.get, "/n")[0] == b"%d" % number
    assert timed(client.create, "/n/s-", sequence=True) == "/n/s-0000000000"
    try:
        timed(client.get, "/missing")
    except NoNodeError:
        pass
    results = [client.set_async("/n", b"x") for _ in range(50)]
    assert [timed(result.get, timeout=5).version for result in results] == list(range(6, 56))
    transaction = client.transaction()
    transaction.create("/t")
    transaction.delete("/t")
    assert timed(transaction.commit) == ["/t", True]
    timed(client.add_auth, "digest", "me:secret")
    assert timed(client.command, b"ruok") == "imok"
    completed = threading.Event()
    client.exists_async("/n").rawlink(lambda result: completed.set())
    assert timed(completed.wait, 5)


def watches(client: Any, other: Any) -> None:
    """Events, and a call within a watch function."""
    for number in range(3):
        told, found = threading.Event(), []  # type: ignore[var-annotated]
        client.get("/n", watch=lambda event, told=told, found=found: (found.append(client.get("/n")[0]), told.set()))
        other.set("/n", b"w%d" % number)
        assert timed(told.wait, 5) and found == [b"w%d" % number]


def together(client: Any, other: Any) -> None:
    """Several threads, which are greenlets now, with a lock of kazoo's."""
    inside: List[int] = []

    def work(owner: Any) -> None:
        for _ in range(3):
            with owner.Lock("/lock"):
                inside.append(1)
                assert len(inside) == 1
                timed(owner.set, "/n", b"locked")
                inside.pop()
        done.append(1)

    done: List[int] = []
    workers = [threading.Thread(target=work, args=(owner,)) for owner in (client, other, client)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert len(done) == 3


def main() -> None:
    """The program."""
    patch("made")
    clients = [KazooClient(URL), KazooClient(URL)]
    patch("started")
    if WHEN == "restarted":
        clients[0].start()
        calls(clients[0])
        clients[0].delete("/n", recursive=True)
        clients[0].stop()
        patch("restarted")
    for client in clients:
        timed(client.start)
    calls(clients[0])
    watches(*clients)
    together(*clients)
    for client in clients:
        timed(client.stop)
    timed(clients[0].start)
    assert timed(clients[0].exists, "/n")
    timed(clients[0].stop)
    print("done", flush=True)


main()
