"""After a fork the child has no session: it gets a clear error or starts anew, never a hang; the parent goes on.

python-zk/kazoo#554, #519, #628, #143: complaint 2.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable

import pytest

from tests.client.programs.support import Program, eventually

Connect = Callable[..., Any]
Run = Callable[..., Program]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@pytest.mark.parametrize("scenario", ["inherited", "not_used", "stopped_in_child", "busy", "grandchild"])
def test_a_forked_child(url: str, run: Run, scenario: str) -> None:
    program = run("forks", scenario, url)
    assert program.end(30) == 0, program.output
    assert program.output[-1] == "done" and "Error" not in "".join(program.output), program.output


@pytest.mark.parametrize("scenario", ["half_done", "pool"])
def test_forked_children_that_share_a_deployment(local_url: str, run: Run, scenario: str) -> None:
    program = run("forks", scenario, local_url)
    assert program.end(30) == 0, program.output
    assert program.output[-1] == "done" and "Error" not in "".join(program.output), program.output


def test_what_a_child_wrote_after_its_parent_closed_the_files_is_there(
    local_url: str, connect: Connect, run: Run
) -> None:
    """A connection that crossed the fork would cost the child its locks (sqlite.org/howtocorrupt.html, 2.6)."""
    program = run("forks", "heir", local_url)
    program.expect("child is done")
    client = connect(local_url)
    assert sorted(client.get_children("/")) == ["alone", "parent", "together", "zookeeper"]


def test_a_child_holds_neither_the_lock_nor_the_socket_of_the_host(local_url: str, connect: Connect, run: Run) -> None:
    """The parent is the host and is killed; the child lives. Somebody else takes over within a second."""
    program = run("forks", "orphan", local_url)
    child = int(program.expect("child"))
    try:
        client = connect(local_url)
        assert client.create("/before") == "/before"
        os.kill(program.pid, signal.SIGKILL)
        killed = time.monotonic()
        assert client.create("/after") == "/after"
        assert time.monotonic() - killed < 1.5
        assert client.connected and client.exists("/parent")
        program.say("go on")
        program.expect("child works")
        assert client.exists("/child")
    finally:
        os.kill(child, signal.SIGKILL)
    eventually(lambda: client.exists("/before"), what="the deployment goes on")
