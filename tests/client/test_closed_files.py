"""Somebody closes files of a process that has a live client: an error soon, and new sessions work.

Daemons close all that they have when they start; a program that closes a number twice closes what somebody else has got
there meanwhile. With kazoo on a ZooKeeper calls end with ConnectionClosedError at once, the connection's thread dies,
and the client can be started again.
"""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest

from fk_kazoo import loop_thread
from fk_kazoo.client import KazooClient
from tests.client.programs.support import Program, within

Connect = Callable[..., Any]
Run = Callable[..., Program]

OURS = ["all", "reused", "selector", "waker", "woken", "pair", "doorbell", "bell"]
ON_DISK = ["databases", "logs", "shared", "sqlite", "locks"]
BUSY = ["all", "shared", "sqlite"]
"""While other threads are in the middle of calls. The others are found out in the same way as by an idle client."""


def _ends_well(program: Program) -> None:
    assert program.end(60) == 0, "\n".join(program.output[-40:])
    assert program.output[-1] == "done", program.output


@pytest.mark.parametrize("which", ["all", "reused", "woken", "pair"])
def test_in_memory(memory_url: str, run: Run, which: str) -> None:
    """The tree is still there afterwards, in another loop."""
    _ends_well(run("closed_files", which, "busy" if which in BUSY else "idle", memory_url))


@pytest.mark.parametrize(
    "which, when", [*((which, "idle") for which in [*OURS, *ON_DISK]), *((which, "busy") for which in BUSY)]
)
def test_on_a_machine(local_url: str, run: Run, which: str, when: str) -> None:
    """SQLite waits for locks on its files for ten seconds, and writes to whatever has their numbers."""
    _ends_well(run("closed_files", which, when, local_url))


def test_the_host_loses_its_files(local_url: str, connect: Connect, run: Run) -> None:
    """Another process takes over, as if the host had been killed; who is started again in the first one is its peer."""
    program = run("closed_files", "all", "told", local_url)
    program.expect("ready")
    client = connect(local_url)
    assert client.exists("/n")
    program.say("now")
    longest = 0.0
    while program.process.poll() is None:
        began = time.monotonic()
        client.set("/n", b"x")
        longest = max(longest, time.monotonic() - began)
    _ends_well(program)
    assert longest < 3.0 and client.connected


def test_a_peer_loses_its_files(local_url: str, connect: Connect, run: Run) -> None:
    """The host goes on, and takes it back."""
    client = connect(local_url)
    _ends_well(run("closed_files", "all", "busy", local_url))
    assert client.set("/n", b"x").version > 0


def test_who_is_lost_while_it_begins_begins_again(local_url: str) -> None:
    """Found out in the loop's thread, at any moment."""
    client = KazooClient(local_url)
    begin, lost = client.start_async, []

    def start_async() -> Any:
        live = begin()
        if not lost:
            lost.append(client._connection)
            loop_thread.abandon_connection(client, client._connection)
        return live

    client.start_async = start_async
    within(10, client.start, 30)
    assert lost[0] is not client._connection and client.create("/made") == "/made"
    client.stop()
