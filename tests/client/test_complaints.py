"""What users of kazoo complain about does not happen here: one test for each complaint, named in its docstring.

The numbers are issues and pull requests of python-zk/kazoo.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, List

import pytest
from kazoo.exceptions import (
    ConnectionClosedError,
    ConnectionLoss,
    KazooException,
    NoNodeError,
    RolledBackError,
    SessionExpiredError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState
from kazoo.recipe.cache import TreeCache
from kazoo.retry import KazooRetry

from fk_kazoo.exceptions import PayloadTooLargeError
from tests.client.programs.support import (
    STOP_S,
    Program,
    States,
    eventually,
    eventually_is,
    expire,
    lose_session,
    own_descriptors,
    within,
)

Connect = Callable[..., Any]


# --- hangs after session loss: #241, #582 ---------------------------------------------------------


def test_nobody_waits_for_ever_after_an_expiry(url: str, connect: Connect) -> None:
    """#582: threads in the middle of calls when the session goes. Each gets an answer or an exception."""
    client = connect(url)
    client.create("/n")
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            try:
                client.set("/n", b"x")
                client.get("/n")
            except KazooException:
                pass

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        lose_session(client)
    over.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


class _SlowQueue(Deque[Any]):
    """A request queue whose next append waits."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.release = threading.Event()

    def append(self, item: Any) -> None:
        if item[1] is not None:
            self.reached.set()
            self.release.wait(10)
        super().append(item)


@pytest.mark.parametrize("how", ["expired", "stopped"])
def test_a_call_that_races_with_the_end_of_its_session_is_not_forgotten(
    memory_url: str, connect: Connect, how: str
) -> None:
    """#582, #482: kazoo checks the state, then queues the request; in between, the queue may have been thrown away."""
    client = connect(memory_url)
    client._connection.submit_now = lambda *_: False  # what follows is queued, and not sent at once
    slow = client._queue = _SlowQueue()
    results: List[Any] = []
    caller = threading.Thread(target=lambda: results.append(client.set_async("/", b"")), daemon=True)
    caller.start()
    assert slow.reached.wait(5)
    states = States(client)
    ender = threading.Thread(target=client.stop if how == "stopped" else lambda: expire(client), daemon=True)
    ender.start()
    eventually(lambda: "LOST" in states.seen, what="the session has ended")
    threading.Timer(0.5, slow.release.set).start()
    caller.join(10)
    ender.join(10)
    with pytest.raises((SessionExpiredError, ConnectionClosedError, ConnectionLoss)):
        results[0].get(timeout=5)


def test_a_lock_can_be_acquired_after_the_session_was_lost(url: str, connect: Connect) -> None:
    """#241, #2: acquire() after an expiry, with the same lock object and with another."""
    client = connect(url)
    lock = client.Lock("/lock", "first")
    assert lock.acquire(timeout=5)
    lose_session(client)
    assert client.Lock("/lock", "second").acquire(timeout=5)
    lock.release()
    assert client.Lock("/lock").contenders() == ["second"]


def test_whoever_waits_for_a_lock_gets_it_or_an_exception_when_his_session_is_lost(url: str, connect: Connect) -> None:
    """#582, PR #760: a contender whose session expires neither hangs nor leaves an orphan in the line."""
    holder, contender = connect(url), connect(url)
    held = holder.Lock("/lock", "holder")
    held.acquire(timeout=5)
    lock = contender.Lock("/lock", "contender")
    outcome: List[Any] = []

    def acquire() -> None:
        try:
            outcome.append(lock.acquire(timeout=20))
        except KazooException as error:
            outcome.append(error)

    thread = threading.Thread(target=acquire, daemon=True)
    thread.start()
    eventually(lambda: len(held.contenders()) == 2, what="the contender waits")
    expire(contender)
    eventually(lambda: outcome or len(held.contenders()) == 2, what="it failed, or waits again")
    held.release()
    thread.join(10)
    assert not thread.is_alive() and outcome
    if outcome == [True]:
        assert held.contenders() == ["contender"]
        lock.release()
    eventually(lambda: held.contenders() == [], what="nobody is left in the line")


def test_a_contender_who_was_suspended_leaves_no_orphan(url: str, connect: Connect) -> None:
    """PR #760: the contender is cut off while it waits, and its acquire times out when it is connected again.

    While it is not, kazoo can't take the node away, and leaves it to the session's end.
    """
    holder, contender = connect(url), connect(url)
    held = holder.Lock("/lock", "holder")
    held.acquire(timeout=5)
    lock = contender.Lock("/lock", "contender")
    outcome: List[Any] = []
    too_long = _waits_until_told(lock.wake_event)
    thread = threading.Thread(target=lambda: outcome.append(_acquired(lock, 60.0)), daemon=True)
    thread.start()
    eventually(lambda: len(held.contenders()) == 2, what="the contender waits")
    states = States(contender)
    contender.cut_off()
    contender.mend()
    states.wait(KazooState.SUSPENDED, KazooState.CONNECTED)
    too_long.set()
    thread.join(15)
    assert outcome == [False]
    assert held.contenders() == ["holder"]


def _waits_until_told(event: Any) -> threading.Event:
    """Whoever waits for ``event`` has waited for long enough when the one that is returned is set."""
    too_long, is_set = threading.Event(), event.wait

    def wait(timeout: float) -> bool:
        while not is_set(0.01) and not too_long.is_set():
            pass
        return bool(event.is_set())

    event.wait = wait
    return too_long


def _acquired(lock: Any, timeout: float) -> bool:
    try:
        return bool(lock.acquire(timeout=timeout))
    except Exception:
        return False


# --- the client called in a listener or a callback: #381, #355, #405, #356, #208, #458 -------------


@pytest.mark.parametrize("how", ["get", "create", "lock"])
def test_the_client_may_be_called_in_a_listener(url: str, make: Connect, how: str) -> None:
    """#381, #405: at CONNECTED, after a suspension and after an expiry."""
    client = make(url)
    done: Deque[Any] = deque()
    calls = {
        "get": lambda: client.get("/")[0],
        "create": lambda: client.create("/e-", ephemeral=True, sequence=True),
        "lock": lambda: client.Lock("/lock", "me").acquire(timeout=5),
    }

    def listen(state: str) -> None:
        if state == KazooState.CONNECTED:
            try:
                done.append(calls[how]())
            except SessionExpiredError as error:
                done.append(error)

    client.add_listener(listen)
    client.start()
    eventually(lambda: len(done) == 1, what="called at the start")
    if how == "lock":
        client.delete("/lock/" + client.get_children("/lock")[0])
    client.cut_off()
    client.mend()
    eventually(lambda: len(done) == 2, what="called after a suspension")
    expire(client)
    eventually(lambda: len(done) == 3, what="called after an expiry")
    assert not any(isinstance(value, Exception) for value in done)


@pytest.mark.parametrize("state", [KazooState.SUSPENDED, KazooState.LOST])
def test_a_call_in_a_listener_while_there_is_no_connection(url: str, connect: Connect, state: str) -> None:
    """#381, #356: it waits for the connection (SUSPENDED), or it is answered or fails (LOST)."""
    client = connect(url)
    done: Deque[Any] = deque()

    def listen(now: str) -> None:
        if now == state:
            try:
                done.append(client.exists("/"))
            except (SessionExpiredError, ConnectionLoss, ConnectionClosedError) as error:
                done.append(error)

    client.add_listener(listen)
    if state == KazooState.SUSPENDED:
        client.cut_off()
        client.mend()
    else:
        expire(client)
    eventually(lambda: done, what="the listener got an answer")
    eventually(lambda: client.connected, what="connected again")
    assert client.exists("/")


def test_ephemerals_are_made_again_in_a_listener(url: str, make: Connect) -> None:
    """#355, #491: the usual recipe: create the node at each CONNECTED."""
    client = make(url)

    def register(state: str) -> None:
        if state == KazooState.CONNECTED and not client.exists("/me"):
            client.create("/me", ephemeral=True)

    client.add_listener(register)
    client.start()
    eventually(lambda: client.exists("/me"), what="registered")
    for _ in range(3):
        lose_session(client)
        eventually(lambda: client.exists("/me"), what="registered again")
        assert client.exists("/me").ephemeralOwner == client._session_id


def test_listeners_are_told_in_order_though_they_call_the_client(memory_url: str, make: Connect) -> None:
    """#405: a listener that is busy with a call when the next change comes is told of it afterwards."""
    client = make(memory_url)
    log: Deque[Any] = deque()

    def listen(state: str) -> None:
        log.append(("begin", state))
        with contextlib.suppress(ConnectionLoss):
            client.exists("/")
        log.append(("end", state))

    client.add_listener(listen)
    client.start()
    client.cut_off()
    client.mend()
    eventually(lambda: len(log) == 6, what="three changes told")
    states = ["CONNECTED", "SUSPENDED", "CONNECTED"]
    assert list(log) == [(what, state) for state in states for what in ("begin", "end")]


def test_a_listener_that_raises_does_no_harm(memory_url: str, make: Connect) -> None:
    """#356: the others are told, and the connection goes on."""
    client = make(memory_url)

    def bad(state: str) -> None:
        raise RuntimeError("bad listener")

    client.add_listener(bad)
    states = States(client)
    client.start()
    client.cut_off()
    client.mend()
    states.wait("CONNECTED", "SUSPENDED", "CONNECTED")


def test_the_client_may_be_called_in_a_watch_function(url: str, connect: Connect) -> None:
    """#208: a watch function that reads, leaves the next watch, and takes a lock."""
    client = connect(url)
    seen: Deque[Any] = deque()
    client.create("/n", b"0")

    def watch(event: Any) -> None:
        with client.Lock("/lock"):
            seen.append(client.get("/n", watch=watch)[0])

    client.get("/n", watch=watch)
    for number in range(1, 4):
        client.set("/n", b"%d" % number)
        eventually_is(lambda: seen[-1], b"%d" % number)


def test_an_election_within_a_data_watch(url: str, connect: Connect) -> None:
    """#208."""
    client, led = connect(url), threading.Event()
    client.create("/config", b"no")

    def elect(data: bytes, stat: Any) -> None:
        if data == b"go":
            client.Election("/election", "me").run(led.set)

    client.DataWatch("/config")(elect)
    client.set("/config", b"go")
    assert led.wait(10)


@pytest.mark.parametrize("fault", ["cut", "expiry"])
def test_a_tree_cache_goes_on_after_a_reconnect(url: str, connect: Connect, fault: str) -> None:
    """#458."""
    client, other = connect(url), connect(url)
    client.create("/tree/a", b"1", makepath=True)
    cache = TreeCache(client, "/tree")
    cache.start()
    eventually(lambda: cache.get_data("/tree/a"), what="cached")
    if fault == "cut":
        client.cut_off()
        other.set("/tree/a", b"2")
        other.create("/tree/b", b"new")
        client.mend()
    else:
        expire(client)
        other.set("/tree/a", b"2")
        other.create("/tree/b", b"new")
    eventually(lambda: cache.get_data("/tree/a").data == b"2", what="the change is cached")
    eventually(lambda: cache.get_data("/tree/b"), what="the new node is cached")
    other.set("/tree/b", b"newer")
    eventually(lambda: cache.get_data("/tree/b").data == b"newer", what="its watches are alive")
    within(10, cache.close)


# --- confusing states: PR #570, #562 --------------------------------------------------------------


def test_a_clean_close_is_not_logged_as_a_lost_session(
    url: str, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """#562."""
    caplog.set_level(logging.INFO)
    client = connect(url)
    client.create("/e", ephemeral=True)
    with client.Lock("/lock"):
        client.get("/e", watch=lambda event: None)
    client.stop()
    client.close()
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert not any("lost" in record.message.lower() for record in caplog.records)


def test_a_call_while_connecting_again_does_not_say_that_the_session_expired(url: str, connect: Connect) -> None:
    """PR #570: SUSPENDED is not LOST. The call waits, and is answered in the same session."""
    client = connect(url)
    session = client.client_id
    client.cut_off()
    result = client.exists_async("/")
    assert not result.ready()
    client.mend()
    assert result.get(timeout=5)
    assert client.client_id == session


# --- locks: #134, #291, #315, #482, #83, #412, #2 -------------------------------------------------


def test_a_lock_of_an_expired_session_is_not_held(url: str, connect: Connect) -> None:
    """#2, #412: the next in line gets it; its node has a higher czxid, so that it can serve as a fence."""
    first, second = connect(url), connect(url)
    lock = first.Lock("/lock", "first")
    lock.acquire(timeout=5)
    fence = first.exists("/lock/" + first.get_children("/lock")[0]).czxid
    other = second.Lock("/lock", "second")
    assert not _acquired(other, 0.2)
    expire(first)
    assert other.acquire(timeout=5)
    assert second.exists("/lock/" + other.node).czxid > fence
    assert other.contenders() == ["second"]


def test_a_lock_is_free_after_its_holder_crashed(local_url: str, connect: Connect, run: Callable[..., Program]) -> None:
    """#412: killed, not stopped."""
    client = connect(local_url, timeout=2.0)
    program = run("holder", local_url, 1.0, "/lock/x__lock__0000000000")
    program.expect("ready")
    lock = client.Lock("/lock", "me")
    assert not _acquired(lock, 0.1)
    program.kill()
    assert lock.acquire(timeout=10)


def test_a_lock_is_not_reentrant_and_says_so(memory_url: str, connect: Connect) -> None:
    """#134, #291, #315: a second acquire of the same object waits, as kazoo documents; it does not pretend."""
    client = connect(memory_url)
    lock = client.Lock("/lock", "me")
    assert lock.acquire(timeout=5)
    assert not _acquired(lock, 0.3)
    assert not _acquired(client.Lock("/lock", "me"), 0.3)
    lock.release()
    assert lock.acquire(timeout=5)


@pytest.mark.parametrize("how", ["never started", "stopped", "closed"])
def test_a_lock_of_a_client_that_is_not_connected_is_an_error(memory_url: str, make: Connect, how: str) -> None:
    """#482, #83: kazoo hangs."""
    client = make(memory_url)
    if how != "never started":
        client.start()
        client.stop()
    if how == "closed":
        client.close()
    with pytest.raises(ConnectionClosedError):
        within(5, client.Lock("/lock").acquire, timeout=3)
    with pytest.raises(ConnectionClosedError):
        within(5, client.Lock("/lock").acquire)


# --- watches: #29, #151, #209, #472, #218, #156, #157 ---------------------------------------------


def test_a_data_watch_goes_on_after_cuts_and_expiries(url: str, connect: Connect) -> None:
    """#29, #151, #209, #472: and no change is shown twice."""
    client, other = connect(url), connect(url)
    seen: Deque[Any] = deque()
    client.create("/n", b"0")
    client.DataWatch("/n")(lambda data, stat: seen.append(data))
    for number in range(1, 7):
        if number % 3 == 0:
            lose_session(client)
        else:
            client.cut_off()
        other.set("/n", b"%d" % number)
        client.mend()
        eventually_is(lambda: seen[-1], b"%d" % number)
    assert list(seen) == [b"%d" % number for number in range(7)]


def test_a_children_watch_goes_on_after_an_expiry_if_it_may(url: str, connect: Connect) -> None:
    """#156, #157: ``allow_session_lost`` is True unless it is turned off; turned off, the watch ends."""
    client, other = connect(url), connect(url)
    client.create("/p")
    goes_on: Deque[Any] = deque()
    ends: Deque[Any] = deque()
    client.ChildrenWatch("/p", goes_on.append)
    client.ChildrenWatch("/p", ends.append, allow_session_lost=False)
    lose_session(client)
    other.create("/p/a")
    eventually(lambda: goes_on[-1] == ["a"], what="the change is shown")
    other.create("/p/b")
    eventually(lambda: len(goes_on[-1]) == 2, what="and the next")
    assert list(ends) == [[]]


# --- ephemerals and retries: #491, #222, #757, #630 -----------------------------------------------


def test_a_transaction_that_was_rolled_back_says_so(url: str, connect: Connect) -> None:
    """#222: kazoo's ``committed`` is what it is; the results are exceptions, and nothing was changed."""
    client = connect(url)
    transaction = client.transaction()
    transaction.create("/t")
    transaction.delete("/missing")
    results = transaction.commit()
    assert [type(result) for result in results] == [RolledBackError, NoNodeError]
    assert not client.exists("/t")


def test_a_transaction_that_is_too_large_says_so(url: str, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """#630: kazoo raises a bare ConnectionLoss and reconnects."""
    client = connect(url)
    states = States(client)
    transaction = client.transaction()
    for number in range(4):
        transaction.create("/t%d" % number, b"x" * 400_000)
    with pytest.raises(PayloadTooLargeError) as caught:
        transaction.commit()
    assert isinstance(caught.value, ConnectionLoss)
    assert "1 MB" in str(caught.value) and "nothing was changed" in str(caught.value)
    assert client.exists("/t0") is None
    assert states.seen == [] and not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_value_that_is_too_large_says_so_and_nobody_else_suffers(url: str, connect: Connect) -> None:
    """#630, for create and set; what else is in flight is answered."""
    client = connect(url)
    client.create("/n", b"small")
    before = [client.set_async("/n", b"%d" % number) for number in range(50)]
    large = client.set_async("/n", b"x" * (1 << 20))
    after = [client.get_async("/n") for _ in range(50)]
    with pytest.raises(PayloadTooLargeError):
        large.get(timeout=10)
    assert [result.get(timeout=10).version for result in before] == list(range(1, 51))
    assert {result.get(timeout=10)[0] for result in after} == {b"49"}
    assert client.create("/big", b"x" * 1_000_000) == "/big"
    assert len(client.get("/big")[0]) == 1_000_000


# --- timeouts and threads: #753, #417 -------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.3, 1.5])
def test_start_raises_when_its_time_is_up(url: str, make: Connect, timeout: float) -> None:
    """#753: whatever the session timeout is."""
    client = make(url, timeout=30.0)
    client.client_link.swallow()
    started = time.monotonic()
    with pytest.raises(KazooTimeoutError):
        within(timeout + STOP_S, client.start, timeout=timeout)
    assert timeout <= time.monotonic() - started < timeout + 2.0
    assert client.state == KazooState.LOST
    client.client_link.mend()
    client.start()
    assert client.exists("/")


def test_an_answer_that_does_not_come_in_time_is_a_timeout(memory_url: str, connect: Connect) -> None:
    """#753: ``get(timeout=…)`` of an async result, and acquire."""
    client, other = connect(memory_url), connect(memory_url)
    other.Lock("/lock").acquire(timeout=5)
    client.cut_off()
    started = time.monotonic()
    with pytest.raises(KazooTimeoutError):
        client.exists_async("/").get(timeout=0.3)
    client.mend()
    with pytest.raises(Exception, match="Failed to acquire lock"):
        client.Lock("/lock").acquire(timeout=0.5)
    assert 0.8 <= time.monotonic() - started < 5.0


def test_a_retry_ends_at_its_deadline(memory_url: str, connect: Connect) -> None:
    """PR #627: ``command_retry`` is respected."""
    client = connect(memory_url, command_retry=KazooRetry(max_tries=3, delay=0.01))
    tries: Deque[Any] = deque()

    def fail() -> None:
        tries.append(1)
        raise ConnectionLoss()

    with pytest.raises(KazooException):
        within(5, client.retry, fail)
    with pytest.raises(KazooException):
        KazooRetry(max_tries=3, delay=0.01)(fail)
    assert 6 <= len(tries) <= 8 and len(tries) % 2 == 0, "as often as kazoo's own, which was once more before 2.11"


def test_failed_starts_leave_no_threads_and_no_files_behind(memory_url: str, make: Connect) -> None:
    """#417: threads, and descriptors, after twenty starts in vain."""
    client = make(memory_url, connection_retry=KazooRetry(max_tries=-1, delay=0.01))
    client.client_link.cut()

    def fail() -> None:
        with pytest.raises(KazooTimeoutError):
            client.start(timeout=0.05)

    fail()
    threads, descriptors = threading.active_count(), len(own_descriptors())
    for _ in range(20):
        fail()
    eventually(lambda: threading.active_count() <= threads, what="no thread is left")
    eventually(lambda: len(own_descriptors()) <= descriptors, what="no descriptor is left")
    client.client_link.mend()
    client.start()
    assert client.exists("/")
