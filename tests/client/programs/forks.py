"""What a forked child finds: ``forks.py SCENARIO URL [HOW]``. Prints what it does; what must hold is asserted.

HOW it forks: by ``python``, by ``libc``, as a server in C does, which Python does not hear of, or by a ``syscall``.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import Any, Callable, Dict, List

from kazoo.exceptions import ConnectionClosedError
from kazoo.protocol.states import KazooState

from fk_kazoo import loop_thread
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import DeploymentConfigurationError

_LIBC = ctypes.PyDLL(None)  # which keeps the interpreter's lock, as who forks with it has to
_CLONE = {"x86_64": 56, "aarch64": 220}


def _fork() -> int:
    how = sys.argv[3] if len(sys.argv) > 3 else "python"
    if how == "python":
        return os.fork()
    time.sleep(0.1)  # a child can't be helped if a thread waited for the interpreter's lock: it lives on in the lock
    if how == "libc":
        return int(_LIBC.fork())
    return int(_LIBC.syscall(_CLONE[os.uname().machine], int(signal.SIGCHLD), 0, 0, 0, 0))


def _connect(url: str, **options: Any) -> KazooClient:
    client = KazooClient(url, **options)
    client.start(10)
    return client


def _in_child(work: Callable[[], None]) -> int:
    pid = _fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def _wait(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status


def inherited(url: str) -> None:
    """The child's calls fail at once, `start` opens a session of its own, and the parent notices nothing."""
    client = _connect(url)
    client.create("/e", ephemeral=True)
    states: "list[str]" = []
    client.add_listener(states.append)
    session = client.client_id

    def child() -> None:
        assert (client.state, client.connected, client.client_id) == (KazooState.LOST, False, None)
        calls: List[Callable[[], Any]] = [
            lambda: client.get("/e"),
            lambda: client.create("/x"),
            lambda: client.Lock("/lock").acquire(),
        ]
        for call in calls:
            try:
                call()
            except ConnectionClosedError:
                continue
            raise AssertionError("the parent's session was used")
        client.start(10)
        assert client.client_id[0] != session[0] or url.startswith("memory")
        assert bool(client.exists("/e")) == url.startswith("local")
        seen = threading.Event()
        client.create("/child", ephemeral=True)
        client.exists("/child", watch=lambda event: seen.set())
        client.delete("/child")
        assert seen.wait(10)
        client.stop()
        client.close()
        other = _connect(url)
        other.stop()

    _wait(_in_child(child))
    assert client.client_id == session and states == [], states
    assert client.exists("/e").ephemeralOwner == session[0]
    client.stop()
    client.close()


def not_used(url: str) -> None:
    """A child that never touches the client and ends in the ordinary way, exit handlers included."""
    client = _connect(url)
    client.create("/e", ephemeral=True)
    pid = _fork()
    if pid == 0:
        sys.exit(0)
    _wait(pid)
    assert client.exists("/e").ephemeralOwner == client.client_id[0]
    client.stop()


def stopped_in_child(url: str) -> None:
    """A child that stops and closes what it inherited, as a worker's clean-up does."""
    client = _connect(url)
    client.create("/e", ephemeral=True)

    def child() -> None:
        client.stop()
        client.close()

    _wait(_in_child(child))
    assert client.exists("/e").ephemeralOwner == client.client_id[0]
    client.stop()


def busy(url: str) -> None:
    """Forks while other threads of the parent are calling, connecting and stopping. Every child works."""
    client = _connect(url)
    client.create("/n")
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            client.set("/n", b"x")
            client.get("/n")

    def come_and_go() -> None:
        while not over.is_set():
            other = _connect(url)
            other.stop()
            other.close()

    threads = [threading.Thread(target=work, daemon=True) for work in (call, call, come_and_go)]
    for thread in threads:
        thread.start()

    def child() -> None:
        client.start(10)
        client.create("/c", sequence=True)
        client.stop()

    for _ in range(12):
        _wait(_in_child(child))
    over.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    if url.startswith("local"):
        assert len(client.get_children("/")) == 14, client.get_children("/")
    client.stop()


def half_done(url: str) -> None:
    """Forks while the parent is in the middle of a transaction: the child does not inherit its locks."""
    client = _connect(url)
    opening: Any = client._connection._opening
    begun = threading.Event()

    async def transact() -> None:
        gateway: Any = await opening.gateway()
        connection = gateway.store._connections["interest"]
        connection.execute("BEGIN IMMEDIATE")
        begun.set()
        time.sleep(0.3)  # in the loop's thread, which does a transaction from its beginning to its end
        connection.execute("COMMIT")

    loop_thread.current().spawn(transact())
    assert begun.wait(10)

    def child() -> None:
        client.start(5)
        client.create("/child")
        client.get("/child", watch=print)
        client.stop()

    _wait(_in_child(child))
    assert client.exists("/child")
    client.stop()


def _make_node(url: str) -> str:
    client = _connect(url)
    with client.Lock("/lock"):
        path = str(client.create("/m", sequence=True))
    client.stop()
    client.close()
    return path


def pool(url: str) -> None:
    """multiprocessing, by fork, with a connected client in the parent."""
    client = _connect(url)
    with multiprocessing.get_context("fork").Pool(3) as workers:
        made = workers.map(_make_node, [url] * 9)
    assert len(set(made)) == 9, made
    assert len([name for name in client.get_children("/") if name.startswith("m")]) == 9
    client.stop()


def grandchild(url: str) -> None:
    """A child's child."""
    client = _connect(url)

    def child() -> None:
        client.start(10)
        client.create("/child")

        def inner() -> None:
            client.start(10)
            client.create("/grandchild")
            client.stop()

        _wait(_in_child(inner))
        assert client.exists("/child")
        client.stop()

    _wait(_in_child(child))
    assert url.startswith("memory") or sorted(client.get_children("/")) == ["child", "grandchild", "zookeeper"]
    client.stop()


def unheard(url: str) -> None:
    """Nobody is told of the fork: what was open on a disk is refused, with the reason; everything else works."""
    client = _connect(url)
    client.create("/n")

    def child() -> None:
        try:
            client.get("/n")
            raise AssertionError("the parent's session was used")
        except ConnectionClosedError:
            pass
        try:
            client.start(5)
            assert url.startswith("memory")
        except DeploymentConfigurationError as error:
            assert url.startswith("local") and "forked" in str(error), error
        other = _connect(url + "-other")
        other.create("/n")
        other.stop()

    _wait(_in_child(child))
    assert client.exists("/n")
    client.stop()


def heir(url: str) -> None:
    """The parent ends in the ordinary way, its files closed; the child is the host then, and writes."""
    client = _connect(url)
    client.create("/parent")
    if _fork() == 0:
        parent = os.getppid()
        client.start(10)
        client.create("/together")
        while os.getppid() == parent:
            time.sleep(0.01)
        client.create("/alone")
        client.stop()
        print("child is done")
        sys.stdout.flush()
        os._exit(0)
    while not client.exists("/together"):
        time.sleep(0.01)
    client.stop()
    while loop_thread.current()._open:
        time.sleep(0.01)
    time.sleep(0.2)


def _say(line: str) -> None:
    """In one piece, since another process says something too."""
    os.write(1, (line + "\n").encode())


def orphan(url: str) -> None:
    """The parent, which is the host, stays until it is killed; its child lives on and holds nothing of it."""
    client = _connect(url)
    client.create("/parent")
    pid = _fork()
    if pid == 0:
        _say("child %d" % os.getpid())
        sys.stdin.readline()
        client.start(10)
        client.create("/child")
        _say("child works")
        os._exit(0)
    _say("parent %d" % os.getpid())
    while True:
        time.sleep(60)


SCENARIOS: Dict[str, Callable[[str], None]] = {
    work.__name__: work
    for work in (inherited, not_used, stopped_in_child, half_done, busy, pool, grandchild, unheard, heir, orphan)
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](sys.argv[2])
    print("done")
