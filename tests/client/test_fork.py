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


HOW = ["python", "libc"]
SCENES = ["inherited", "not_used", "stopped_in_child", "grandchild"]


@pytest.mark.parametrize("scenario, how", [*((scene, how) for scene in SCENES for how in HOW), ("busy", "python")])
def test_a_forked_child(url: str, run: Run, scenario: str, how: str) -> None:
    """By Python, or by a server in C, of which Python does not hear: it does that while no other thread is busy."""
    program = run("forks", scenario, url, how)
    assert program.end(30) == 0, program.output
    assert program.output[-1] == "done" and "Error" not in "".join(program.output), program.output


@pytest.mark.parametrize("how, scenario", [("python", "half_done"), ("libc", "half_done"), ("python", "pool")])
def test_forked_children_that_share_a_deployment(local_url: str, run: Run, scenario: str, how: str) -> None:
    program = run("forks", scenario, local_url, how)
    assert program.end(30) == 0, program.output
    assert program.output[-1] == "done" and "Error" not in "".join(program.output), program.output


@pytest.mark.skipif(not hasattr(os, "uname") or os.uname().sysname != "Linux", reason="system calls have numbers there")
def test_a_fork_that_nobody_is_told_of(url: str, run: Run) -> None:
    program = run("forks", "unheard", url, "syscall")
    assert program.end(30) == 0, program.output
    assert program.output[-1] == "done", program.output


@pytest.mark.parametrize("how", HOW)
def test_what_a_child_wrote_after_its_parent_closed_the_files_is_there(
    local_url: str, connect: Connect, run: Run, how: str
) -> None:
    """A connection that crossed the fork would cost the child its locks (sqlite.org/howtocorrupt.html, 2.6)."""
    program = run("forks", "heir", local_url, how)
    program.expect("child is done")
    client = connect(local_url)
    assert sorted(client.get_children("/")) == ["alone", "parent", "together", "zookeeper"]


@pytest.mark.parametrize("how", HOW)
def test_a_child_holds_neither_the_lock_nor_the_socket_of_the_host(
    local_url: str, connect: Connect, run: Run, how: str
) -> None:
    """The parent is the host and is killed; the child lives. Somebody else takes over within a second."""
    program = run("forks", "orphan", local_url, how)
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


@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
@pytest.mark.parametrize("handler", ["default", "own"])
def test_what_crosses_a_fork_as_greenlets_lets_go(local_url: str, run: Run, kind: str, handler: str) -> None:
    """Unlike threads they go on in the child: they took the parent's answers, and both lost their sessions."""
    pytest.importorskip(kind, reason="%s is not installed" % kind)
    program = run("green_forks", kind, handler, local_url)
    assert program.end(40) == 0, program.output
    assert program.output == ["done"]
