"""What one process does for all passes from process to process, and costs nothing while nothing happens.

A process that is paused keeps nobody waiting, and one that ends costs nobody anything. A connected client that does
nothing uses hardly any processor time, and one that is gone leaves neither files nor threads.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest

from fk_backend.providers.local.host import STILL_S, WATCH_S
from fk_kazoo import loop_thread

from .processes import Program, eventually, host_of, let_pass

URL = "local://d"
Run = Callable[..., Program]


def _pair(run: Run, timeout: float = 10.0) -> List[Program]:
    """A host and somebody who is not."""
    host = run("member", URL, timeout)
    host.expect("ready")
    other = run("member", URL, timeout)
    other.expect("ready")
    return [host, other]


def test_a_stopped_host_holds_up_nobody_and_others_expire_its_sessions(home: Path, run: Run) -> None:
    """Its own session, too, in the time that somebody takes to find out that it is stopped."""
    timeout = 3.0
    host, other = _pair(run, timeout)
    assert host_of(home / "d") == host.pid
    assert host.ask("create /e ephemeral") == "/e"
    host.process.send_signal(signal.SIGSTOP)
    for number in range(20):
        assert other.ask("create /n%d" % number) == "/n%d" % number
    started = time.monotonic()
    eventually(lambda: other.ask("exists /e") == "False", "its ephemeral goes")
    assert time.monotonic() - started < STILL_S + WATCH_S + 2 * timeout
    host.process.send_signal(signal.SIGCONT)
    eventually(lambda: any("LOST" in line for line in host.output), "it is told")
    assert [line for line in other.output if line.startswith("state")] == ["state CONNECTED"]


def test_a_stopped_client_that_is_not_the_host_holds_up_nobody(home: Path, run: Run) -> None:
    host, other = _pair(run)
    other.process.send_signal(signal.SIGSTOP)
    for number in range(50):
        assert host.ask("create /n%d" % number) == "/n%d" % number
    other.process.send_signal(signal.SIGCONT)
    assert other.ask("exists /n49") == "True"


@pytest.mark.parametrize("how", ["stop", "exit"])
def test_the_host_ends_and_another_goes_on(home: Path, run: Run, how: str) -> None:
    """Whether it ends its session or only its process; nobody's state changes."""
    host, other = _pair(run)
    assert host_of(home / "d") == host.pid
    assert host.ask("create /e ephemeral") == "/e"
    host.say(how)
    assert host.end() == 0
    assert other.ask("create /next") == "/next"
    eventually(lambda: host_of(home / "d") == other.pid, "it does what one does for all")
    assert other.ask("exists /e") == str(how == "exit")
    assert [line for line in other.output if line.startswith("state")] == ["state CONNECTED"]


def test_the_host_closes_its_clients_but_lives_on(run: Run, connect: Callable[..., Any]) -> None:
    """A process that has no client any more does not stay the host."""
    client = connect(URL)
    other = run("member", URL, 10)
    other.expect("ready")
    client.stop()
    _settled()
    assert other.ask("create /n") == "/n"
    assert [line for line in other.output if line.startswith("state")] == ["state CONNECTED"]


def test_a_session_outlives_the_process_it_was_made_in(run: Run, make: Callable[..., Any]) -> None:
    """Reattached by client_id from another process; with a wrong password it is not."""
    first = run("member", URL, 30)
    session, password = first.expect("ready").split()
    assert first.ask("create /e ephemeral") == "/e"
    first.say("exit")
    first.end()
    for given, same in ((b"x" * 16, False), (bytes.fromhex(password), True)):
        second = make(URL, client_id=(int(session), given))
        second.start()
        assert (second.client_id[0] == int(session)) == same
        assert second.exists("/e").ephemeralOwner == int(session)
        second.stop()
    third = make(URL)
    third.start()
    assert not third.exists("/e")


def test_session_ids_are_unique_across_processes_and_restarts(run: Run, make: Callable[..., Any]) -> None:
    seen: List[int] = []
    for _ in range(3):
        programs = [run("member", URL, 10) for _ in range(3)]
        seen.extend(int(program.expect("ready").split()[0]) for program in programs)
        for program in programs:
            program.kill()
    assert len(set(seen)) == len(seen) == 9 and all(0 < session < 1 << 63 for session in seen)


# --- what it costs --------------------------------------------------------------------------------

MEASURED_S = 6.0
IDLE_SHARE = 0.005


def test_an_idle_client_uses_hardly_any_processor(home: Path, run: Run) -> None:
    """Below 0.5% of a core, host or not; measured as processor time, which a busy machine does not change."""
    host, other = _pair(run)
    assert host_of(home / "d") == host.pid
    let_pass(1.0)
    before, started = [program.cpu_s() for program in (host, other)], time.monotonic()
    let_pass(MEASURED_S)
    spent = [program.cpu_s() - was for program, was in zip((host, other), before)]
    shares = [each / (time.monotonic() - started) for each in spent]
    print("idle: host %.3f%%, other %.3f%%" % (100 * shares[0], 100 * shares[1]))
    assert max(shares) < IDLE_SHARE, shares


@pytest.mark.parametrize("as_host", [True, False])
def test_fifty_starts_and_stops_leave_no_files_and_no_threads(
    monkeypatch: pytest.MonkeyPatch, run: Run, make: Callable[..., Any], as_host: bool
) -> None:
    monkeypatch.setattr(loop_thread, "KEEP_OPEN_S", 0.0)
    if not as_host:
        run("member", URL, 10).expect("ready")

    def cycle() -> None:
        client = make(URL)
        client.start()
        client.create("/n-", sequence=True)
        client.get_children("/", watch=print)
        client.stop()
        client.close()

    for _ in range(3):
        cycle()
    files, threads = _settled(), threading.active_count()
    for _ in range(50):
        cycle()
    eventually(lambda: _files() <= files, "no file stays open: %d, were %d" % (_files(), files))
    eventually(lambda: threading.active_count() <= threads, "no thread stays")


def _files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _settled() -> int:
    """The number of open files when the deployment is closed again."""
    eventually(lambda: not loop_thread.current()._open, "the deployment is closed")
    return _files()
