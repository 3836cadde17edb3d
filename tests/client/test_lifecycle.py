"""start, stop, restart and close in any order from any thread; many clients; the interpreter's exit never hangs."""

from __future__ import annotations

import importlib.util
import threading
import time
from typing import Any, Callable, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState

from tests.client.programs.support import CableClient, Program, States, at_once, eventually, own_descriptors, within

Connect = Callable[..., Any]
Run = Callable[..., Program]

OPERATIONS = ("start", "stop", "restart", "close", "call")
ALLOWED = (KazooTimeoutError, ConnectionClosedError, ConnectionLoss, SessionExpiredError)
"""What a call may come to when another thread stops the client under it."""


def _operate(client: CableClient, operation: str) -> None:
    try:
        if operation == "start":
            client.start(timeout=5)
        elif operation == "call":
            client.exists_async("/").get(timeout=5)
        else:
            getattr(client, operation)()
    except ALLOWED:
        pass
    except Exception as error:  # kazoo's own words: close() before stop()
        if "until it is stopped" not in str(error):
            raise


def _usable(client: CableClient) -> None:
    """Whatever happened to it: it stops, starts, works, and stops."""
    within(15, client.stop)
    within(15, client.start)
    assert within(5, client.exists, "/")
    within(15, client.stop)
    within(5, client.close)
    assert client.state == KazooState.LOST and not client.connected


quiet = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""kazoo's own threads draw random numbers while hypothesis does."""


@quiet
@given(st.lists(st.sampled_from(OPERATIONS), max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_sequence_in_one_thread(memory_url: str, sequence: List[str]) -> None:
    client = CableClient(memory_url)
    for operation in sequence:
        within(15, _operate, client, operation)
        if operation in ("start", "restart"):
            assert client.connected
    _usable(client)


@quiet
@given(st.lists(st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=6), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_sequences_in_several_threads(memory_url: str, sequences: List[List[str]]) -> None:
    client = CableClient(memory_url)
    errors: List[BaseException] = []

    def work(sequence: List[str]) -> None:
        try:
            for operation in sequence:
                _operate(client, operation)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(sequence,), daemon=True) for sequence in sequences]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), sequences
    assert errors == []
    _usable(client)


def test_starting_from_several_threads_at_once_is_one_start(url: str, make: Connect) -> None:
    client = make(url)
    states = States(client)

    def start() -> None:
        client.start()
        assert client.exists("/")

    at_once(5, 20, start)
    assert states.seen == ["CONNECTED"]


def test_start_while_reconnecting_waits_for_the_connection(url: str, connect: Connect) -> None:
    """kazoo waits ten seconds for its own thread and raises; here the connection is what was asked for."""
    client = connect(url)
    session = client.client_id
    client.cut_off()
    starter = threading.Thread(target=client.start, daemon=True)
    starter.start()
    client.mend()
    starter.join(10)
    assert not starter.is_alive() and client.client_id == session


def test_a_client_that_gave_up_can_be_started_again(url: str, make: Connect) -> None:
    client = make(url, connection_retry={"max_tries": 2, "delay": 0.01})
    client.client_link.cut()
    client.start_async()
    eventually(lambda: client._connection.connection_stopped.is_set(), what="it gave up")
    client.client_link.mend()
    within(10, client.start)
    assert client.exists("/")


def test_restart_is_a_new_session(url: str, connect: Connect) -> None:
    client = connect(url)
    client.create("/e", ephemeral=True)
    session, states = client.client_id[0], States(client)
    client.restart()
    assert states.seen == ["LOST", "CONNECTED"]
    assert client.client_id[0] != session and client.exists("/e") is None


def test_fifty_clients_in_one_process(url: str, make: Connect) -> None:
    """Each with its own session; they share one thread for the deployment."""
    threads = threading.active_count()
    clients = [make(url) for _ in range(50)]
    events = [client.start_async() for client in clients]
    for event in events:
        assert event.wait(20)
    assert len({client.client_id[0] for client in clients}) == 50
    results = [client.create_async("/n", sequence=True) for client in clients]
    assert len({result.get(timeout=20) for result in results}) == 50
    assert threading.active_count() <= threads + 3 * 50
    for client in clients:
        within(10, client.stop)
        client.close()
    eventually(lambda: threading.active_count() <= threads, what="no thread is left")


def test_clients_that_come_and_go_leave_nothing_behind(url: str, make: Connect) -> None:
    first = make(url)
    first.start()
    threads, descriptors = threading.active_count(), len(own_descriptors())
    for _ in range(20):
        client = CableClient(url)
        client.start()
        client.create("/n", ephemeral=True)
        client.stop()
        client.close()
    eventually(lambda: threading.active_count() <= threads, what="no thread is left")
    # While it waits, the first one's thread has a selector, which it may not have had when they were counted.
    eventually(lambda: len(own_descriptors()) <= descriptors + 1, what="no descriptor is left")
    assert first.get_children("/") == ["zookeeper"]


def test_a_deployment_is_let_go_and_found_again(url: str, make: Connect) -> None:
    """After the last client, and after the time that a deployment stays open without one."""
    client = make(url)
    client.start()
    client.create("/n", b"kept")
    opening = client._connection._opening
    client.stop()
    eventually(lambda: opening.users == 0, what="released")
    again = make(url)
    again.start()
    assert again.get("/n")[0] == b"kept"


# --- the interpreter's exit -----------------------------------------------------------------------

HANDLERS = ("threading", "gevent", "gevent-patched", "eventlet", "eventlet-patched")
CODES = {"plain": 0, "stuck_watch": 0, "stuck_listener": 0, "stuck_after_stop": 0, "blocked_call": 3}


def _installed(handler: str) -> bool:
    return handler == "threading" or importlib.util.find_spec(handler.partition("-")[0]) is not None


@pytest.mark.parametrize("scenario", list(CODES))
def test_the_interpreter_exits(local_url: str, run: Run, scenario: str) -> None:
    """With each handler whose library is installed, all at the same time."""
    programs = {
        handler: run("exits", handler, scenario, "%s-%d" % (local_url, number))
        for number, handler in enumerate(HANDLERS)
        if _installed(handler)
    }
    for handler, program in programs.items():
        assert program.end(20) == CODES[scenario], (handler, program.output)
        assert [line for line in program.output if line != "main is over"] == [], handler


@pytest.mark.parametrize("scenario", ["raising", "callbacks_first", "unreachable"])
def test_the_interpreter_exits_with_what_the_program_left(memory_url: str, run: Run, scenario: str) -> None:
    program = run("exits", "threading", scenario, memory_url)
    started = time.monotonic()
    code = program.end(20)
    printed: Any = program.output
    assert time.monotonic() - started < 10
    if scenario == "raising":
        assert code == 1 and printed[-1] == "RuntimeError: the app's own", printed
        assert not any("Exception ignored" in line or "Fatal" in line for line in printed), printed
    elif scenario == "callbacks_first":
        assert code == 0 and printed == ["main is over", "callback ran"], printed
    else:
        assert code == 0 and printed == ["main is over"], printed
