"""The states that a listener is told are kazoo's: which ones, in which order, and with which session."""

from __future__ import annotations

import signal
import time
from typing import Any, Callable

import pytest
from kazoo.exceptions import ConnectionLoss, NoNodeError, SessionExpiredError
from kazoo.protocol.states import KazooState, KeeperState

from tests.client.programs.support import Program, States, eventually, expire

Connect = Callable[..., Any]


def test_start_and_stop(url: str, make: Connect) -> None:
    client = make(url)
    states = States(client)
    assert (client.state, client.client_state) == (KazooState.LOST, KeeperState.CLOSED)
    client.start()
    session = client.client_id[0]
    states.wait("CONNECTED")
    assert client.client_state == KeeperState.CONNECTED
    client.stop()
    assert states.seen == ["CONNECTED", "LOST"] and client.client_state == KeeperState.CLOSED
    client.start()
    states.wait("CONNECTED", "LOST", "CONNECTED")
    assert client.client_id[0] != session


def test_a_cut_that_mends_keeps_the_session_and_its_ephemerals(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    client.create("/e", ephemeral=True)
    session, states = client.client_id, States(client)
    client.cut_off()
    states.wait("SUSPENDED")
    assert client.client_id is None and client.client_state == KeeperState.CONNECTING
    assert other.exists("/e")
    client.mend()
    states.wait("SUSPENDED", "CONNECTED")
    assert client.client_id == session
    assert client.exists("/e").ephemeralOwner == session[0]


def test_an_expired_session_is_lost_and_a_new_one_begins(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    client.create("/e", ephemeral=True)
    session, states = client.client_id[0], States(client)
    expire(client)
    states.wait("LOST", "CONNECTED")
    assert client.client_id[0] != session
    assert states.sessions[-1] == client.client_id[0]
    assert not client.exists("/e") and not other.exists("/e")


def test_a_session_that_expires_while_cut_off_is_suspended_then_lost(url: str, connect: Connect) -> None:
    """LOST is told when the deployment says so, not before: until then the session may live."""
    client, other = connect(url), connect(url)
    client.create("/e", ephemeral=True)
    session, states = client._session_id, States(client)
    client.cut_off()
    expire(client)
    eventually(lambda: not other.exists("/e"), what="the session has expired")
    states.wait("SUSPENDED")
    client.client_link.mend()
    states.wait("SUSPENDED", "LOST", "CONNECTED")
    assert client.client_id[0] != session


def test_what_was_in_flight_at_a_cut_is_a_connection_loss(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    client.create("/n")
    results = [client.set_async("/n", b"%d" % number) for number in range(500)]
    client.client_link.cut()
    for result in results:
        try:
            result.get(timeout=5)
        except ConnectionLoss:
            pass
    assert all(result.ready() for result in results)
    lost = [result for result in results if not result.successful()]
    assert 500 - len(lost) <= other.get("/n")[1].version <= 500


@pytest.mark.parametrize("password_is_right", [True, False])
def test_reattaching_by_client_id(url: str, connect: Connect, make: Connect, password_is_right: bool) -> None:
    first = connect(url)
    first.create("/e", ephemeral=True)
    session, password = first.client_id
    states = States(first)
    second = make(url, client_id=(session, password if password_is_right else b"x" * 16))
    seen = States(second)
    second.start()
    if password_is_right:
        assert second.client_id == (session, password) and seen.seen == ["CONNECTED"]
        eventually(lambda: "SUSPENDED" in states.seen, what="a session is in one place at a time")
    else:
        assert second.client_id[0] != session and seen.seen == ["CONNECTED"]
        assert states.seen == [] and first.exists("/e").ephemeralOwner == session


def test_reattaching_after_the_session_ended_begins_a_new_one(url: str, connect: Connect) -> None:
    first = connect(url)
    identity = first.client_id
    first.stop()
    second = connect(url, client_id=identity)
    assert second.client_id[0] != identity[0]


def test_calls_while_suspended_go_out_on_reconnect_with_the_same_session(url: str, connect: Connect) -> None:
    client = connect(url)
    session = client.client_id
    client.cut_off()
    results = [client.create_async("/q%d" % number, ephemeral=True) for number in range(20)]
    assert not any(result.ready() for result in results)
    client.client_link.mend()
    assert [result.get(timeout=10) for result in results] == ["/q%d" % number for number in range(20)]
    assert client.client_id == session


def test_calls_while_suspended_fail_definitely_if_the_session_expired(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    client.create("/e", ephemeral=True)
    client.cut_off()
    expire(client)
    eventually(lambda: not other.exists("/e"), what="the session has expired")
    results = [client.create_async("/q%d" % number) for number in range(20)]
    client.client_link.mend()
    for result in results:
        with pytest.raises(SessionExpiredError):
            result.get(timeout=10)
    assert [name for name in other.get_children("/") if name.startswith("q")] == []


def test_a_reconnect_delivers_no_error_of_its_own(url: str, connect: Connect) -> None:
    """Through ten cuts every answer is the right one or a ConnectionLoss."""
    client = connect(url)
    client.create("/n", b"x")
    for _ in range(10):
        client.cut_off()
        result, missing = client.get_async("/n"), client.get_async("/missing")
        client.mend()
        assert result.get(timeout=10)[0] == b"x"
        with pytest.raises(NoNodeError):
            missing.get(timeout=10)


# --- a paused process -----------------------------------------------------------------------------


def _resume_after_expiry(program: Program, watcher: Any, timeout_s: float) -> None:
    program.signal(signal.SIGSTOP)
    eventually(lambda: not watcher.exists("/held"), timeout_s + 10, "the paused process's ephemeral is gone")
    program.signal(signal.SIGCONT)


def test_a_process_paused_beyond_its_timeout_is_suspended_before_it_is_lost(
    local_url: str, connect: Connect, run: Callable[..., Program]
) -> None:
    watcher = connect(local_url)
    program = run("holder", local_url, 1.0, "/held")
    session = program.expect("ready")
    _resume_after_expiry(program, watcher, 1.0)
    program.expect("state SUSPENDED " + session)
    program.expect("state LOST")
    assert program.expect("state CONNECTED") != session
    states = [line.split()[1] for line in program.output if line.startswith("state")]
    assert states == ["CONNECTED", "SUSPENDED", "LOST", "CONNECTED"]


def test_a_process_paused_for_two_thirds_of_its_timeout_is_suspended_and_goes_on(
    local_url: str, connect: Connect, run: Callable[..., Program]
) -> None:
    """It was out of touch for so long that a lock it holds was in doubt, and nobody took the session away."""
    watcher = connect(local_url)
    program = run("holder", local_url, 6.0, "/held")
    session = program.expect("ready")
    stopped = time.monotonic()
    program.signal(signal.SIGSTOP)
    eventually(lambda: time.monotonic() - stopped > 4.4, what="two thirds of the timeout pass")
    program.signal(signal.SIGCONT)
    assert program.expect("state SUSPENDED") == session
    assert program.expect("state CONNECTED") == session
    assert watcher.exists("/held").ephemeralOwner == int(session)
