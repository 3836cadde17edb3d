"""A session ends when its client is silent for its timeout, and not before; its id is its own; namespaces are apart."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Set, Tuple

import pytest
from kazoo.exceptions import NodeExistsError, NoNodeError

from tests.client.programs.support import CableClient, Program, States, eventually

Connect = Callable[..., Any]

BOUND_S = 1.0
"""How long after its timeout a session may live."""
NOTICE_S = 0.5
"""For the event's way to a watcher, and the test's own clock, on a loaded machine."""


# --- expiry ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout_s", "first"),
    [(1.0, "the watcher"), (2.0, "the watcher"), (4.0, "the watcher"), (1.0, "the killed"), (2.0, "the killed")],
)
def test_the_ephemerals_of_a_killed_process_go_after_its_timeout(
    local_url: str, connect: Connect, run: Callable[..., Program], timeout_s: float, first: str
) -> None:
    """Whichever of the two is the host: if it is the killed one, another takes over and gives the session its time."""
    takeover_s = 0.0
    if first == "the watcher":
        watcher = connect(local_url)
        program = run("holder", local_url, timeout_s, "/held/x")
        program.expect("ready")
    else:
        program = run("holder", local_url, timeout_s, "/held/x")
        program.expect("ready")
        watcher = connect(local_url)
        takeover_s = 1.0
    gone = threading.Event()
    events: Deque[Any] = deque()

    def note(event: Any) -> None:
        events.append(event.type)
        gone.set()

    watcher.exists("/held/x", watch=note)
    watcher.get_children("/held", watch=note)
    program.kill()
    killed = time.monotonic()
    assert gone.wait(timeout_s + 10)
    elapsed = time.monotonic() - killed
    # The last beat was up to a third of the timeout before the kill.
    assert timeout_s * 2 / 3 - 0.1 <= elapsed <= timeout_s + BOUND_S + NOTICE_S + takeover_s
    eventually(lambda: len(events) == 2, what="both watches fired")
    assert sorted(events) == ["CHILD", "DELETED"]
    assert watcher.get_children("/held") == [] and watcher.exists("/held/x") is None


@pytest.mark.parametrize("timeout_s", [1.0, 2.0])
def test_the_ephemerals_of_a_client_that_is_cut_off_go_after_its_timeout(
    memory_url: str, connect: Connect, timeout_s: float
) -> None:
    client, watcher = connect(memory_url, timeout=timeout_s), connect(memory_url)
    client.create("/e", ephemeral=True)
    gone = threading.Event()
    watcher.exists("/e", watch=lambda event: gone.set())
    client.cut_off()
    cut = time.monotonic()
    assert gone.wait(timeout_s + 10)
    elapsed = time.monotonic() - cut
    assert timeout_s * 2 / 3 - 0.1 <= elapsed <= timeout_s + BOUND_S + NOTICE_S


def test_a_session_in_touch_does_not_expire(url: str, connect: Connect) -> None:
    """Idle for three timeouts: nothing but beats keeps it."""
    client, watcher = connect(url, timeout=1.0), connect(url)
    client.create("/e", ephemeral=True)
    states, gone = States(client), threading.Event()
    watcher.exists("/e", watch=lambda event: gone.set())
    assert not gone.wait(3.0)
    assert states.seen == [] and client.exists("/e").ephemeralOwner == client.client_id[0]


def test_a_stop_ends_the_session_at_once(url: str, connect: Connect) -> None:
    client, watcher = connect(url), connect(url)
    client.create("/e", ephemeral=True)
    gone = threading.Event()
    watcher.exists("/e", watch=lambda event: gone.set())
    client.stop()
    assert watcher.exists("/e") is None
    assert gone.wait(5)


def test_the_clock_of_an_expiry_is_not_the_clients(memory_url: str, connect: Connect) -> None:
    """A client that lost two thirds of its timeout (its process was paused) says so before it goes on."""
    client = connect(memory_url, timeout=1.5)
    session, states = client._session_id, States(client)
    client.client_link.jump(1.2)
    states.wait("SUSPENDED", "CONNECTED")
    assert client._session_id == session


# --- ids ------------------------------------------------------------------------------------------


def _ids(url: str, make: Connect, count: int) -> Set[int]:
    found = set()
    for _ in range(count):
        client = make(url)
        client.start()
        found.add(client.client_id[0])
        client.stop()
    return found


def test_session_ids_are_unique_and_owner_of_what_they_make(url: str, connect: Connect) -> None:
    clients = [connect(url) for _ in range(10)]
    ids = [client.client_id[0] for client in clients]
    assert len(set(ids)) == 10 and all(0 < number < 1 << 63 for number in ids)
    assert all(len(client.client_id[1]) == 16 for client in clients)
    assert len({client.client_id[1] for client in clients}) == 10
    for number, client in zip(ids, clients):
        path = client.create("/e-", ephemeral=True, sequence=True)
        assert clients[0].get(path)[1].ephemeralOwner == number


def test_session_ids_are_unique_across_processes_and_restarts(
    local_url: str, make: Connect, run: Callable[..., Program]
) -> None:
    seen = _ids(local_url, make, 3)
    for ending in (signal.SIGKILL, signal.SIGTERM):
        programs = [run("holder", local_url, 5.0, "/%s/%d" % (ending.name, number)) for number in range(3)]
        ids = {int(program.expect("ready")) for program in programs}
        assert len(ids) == 3 and not ids & seen
        seen |= ids
        for program in programs:
            program.signal(ending)
            program.process.wait(10)
    assert not _ids(local_url, make, 3) & seen


# --- namespaces -----------------------------------------------------------------------------------


def test_namespaces_are_independent(url: str, connect: Connect) -> None:
    """Their nodes, zxids, watches and sessions; a URL without a namespace is one more."""
    a, b, other = connect(url + "?namespace=a"), connect(url + "?namespace=b"), connect(url)
    events: Deque[Any] = deque()
    b.exists("/n", watch=events.append)
    a.create("/n", b"a")
    for _ in range(50):
        a.set("/n", b"a")
    assert b.exists("/n") is None and other.exists("/n") is None
    b.create("/other", b"b")
    assert b.get("/other")[1].czxid < a.get("/n")[1].mzxid
    with pytest.raises(NoNodeError):
        a.get("/other")
    b.create("/n", b"b")
    eventually(lambda: len(events) == 1, what="b's own event")
    with pytest.raises(NodeExistsError):
        b.create("/n")
    assert (a.get("/n")[0], b.get("/n")[0]) == (b"a", b"b")
    assert len({client.client_id[0] for client in (a, b, other)}) == 3


def test_a_session_belongs_to_its_namespace(url: str, connect: Connect) -> None:
    a = connect(url + "?namespace=a")
    b = connect(url + "?namespace=b", client_id=a.client_id)
    assert b.client_id[0] != a.client_id[0] and a.connected


def test_two_deployments_are_independent(connect: Connect, memory_url: str, local_url: str) -> None:
    clients: Tuple[CableClient, ...] = tuple(
        connect(url) for url in (memory_url, memory_url + "x", local_url, local_url + "x")
    )
    for number, client in enumerate(clients):
        client.create("/n", b"%d" % number)
    assert [client.get("/n")[0] for client in clients] == [b"0", b"1", b"2", b"3"]


def test_a_chroot_is_a_place_in_the_same_tree(url: str, connect: Connect) -> None:
    whole = connect(url)
    whole.create("/app/n", b"x", makepath=True)
    inside = connect(url + "/app")
    seen: Deque[Any] = deque()
    assert inside.get("/n", watch=seen.append)[0] == b"x"
    whole.set("/app/n", b"y")
    eventually(lambda: seen, what="the event")
    assert (seen[0].path, inside.create("/m", sequence=True)) == ("/n", "/m0000000001")


# --- a deployment that lost what it had answered ----------------------------------------------------


def test_a_session_that_saw_what_is_lost_is_lost_and_no_other(url: str, connect: Connect) -> None:
    """A store may answer before what it did is safe, and be replaced by one that does not have it."""
    lost = ("SUSPENDED", "LOST", "CONNECTED")
    for seen_more, expected in ((0, ("SUSPENDED", "CONNECTED")), (1, lost), (1000, lost)):
        client = connect(url, timeout=2.0)
        client.create("/a-%d" % seen_more, ephemeral=True)
        client.last_zxid += seen_more
        client.exists("/")  # what is old does not make it forget what is newer
        states, session = States(client), client.client_id[0]
        client.cut_off()
        client.mend()
        states.wait(*expected)
        assert (client.client_id[0] == session) == (not seen_more)
        client.cut_off()
        client.mend()
        states.wait(*expected, "SUSPENDED", "CONNECTED")  # the new session has seen nothing that is lost
        if not seen_more:
            client.delete("/a-0")
