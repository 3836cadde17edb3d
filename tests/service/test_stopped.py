"""A process is stopped in the middle of its commit, for longer than its session lives: SIGSTOP, as a debugger sends it.

Nobody else can write then. The others say so in time, and none hangs; once it goes on, nothing is lost, and nobody has
had the lock beside somebody else.
"""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest

from fk_kazoo.client import KazooClient

from .processes import Program, eventually, host_of, let_pass

URL = "local://d"
TIMEOUT_S = 3.0
STOPPED_S = 1.5 * TIMEOUT_S
LATE_S = 1.0
"""What a busy machine adds."""
Run = Callable[..., Program]


def _is_stopped(program: Program) -> bool:
    return Path("/proc/%d/stat" % program.pid).read_text().rpartition(")")[2].split()[0] == "T"


def _is_locked(database: Path) -> bool:
    """Whether somebody is in the middle of a transaction that writes."""
    connection = sqlite3.connect(database, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        return False
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()


def _values(program: Program) -> List[int]:
    return [int(line.split()[1]) for line in program.output if line.startswith("ack ")]


def _goes_on(program: Program) -> None:
    """It counts once more."""
    before = len(_values(program))
    eventually(lambda: len(_values(program)) > before, "it goes on: %s" % program.output[-5:])


def _says(program: Program, word: str, since: int) -> bool:
    return any(word in line for line in program.output[since:])


@pytest.mark.slow
@pytest.mark.parametrize("who", ["the host", "another"])
def test_who_is_stopped_in_the_middle_of_a_commit(home: Path, run: Run, tmp_path: Path, who: str) -> None:
    with_counter: Any = KazooClient(URL)
    file = tmp_path / "fences"
    programs = []
    for name in ("first", "second", "third"):
        programs.append(run("contender", URL, TIMEOUT_S, name, file))
        programs[-1].expect("state CONNECTED")
    assert host_of(home / "d") == programs[0].pid
    with_counter.start()
    with_counter.create("/counter", b"0")
    with_counter.stop()
    for each in programs:
        each.say("begin")
    for each in programs:
        _goes_on(each)

    victim = programs[0] if who == "the host" else programs[1]
    others = [each for each in programs if each is not victim]
    victim.say("stop")
    eventually(lambda: _is_stopped(victim), "it is in the middle of a commit")
    stopped = time.monotonic()
    assert _is_locked(home / "d" / "state.db")
    before = [len(each.output) for each in others]
    for each in others:
        each.say("write")
    for word in ("SUSPENDED", "cut off"):
        eventually(lambda word=word: all(_says(each, word, since) for each, since in zip(others, before)), word)
    assert time.monotonic() - stopped < TIMEOUT_S + LATE_S
    acked = [len(_values(each)) for each in others]
    let_pass(max(0.0, stopped + STOPPED_S - time.monotonic()))
    assert acked == [len(_values(each)) for each in others], "somebody was told that he had counted"

    victim.process.send_signal(signal.SIGCONT)
    for each in programs:
        _goes_on(each)
    for each in programs:
        each.say("end")
    longest_s = [float(each.expect("longest")) for each in programs]
    assert [each.end() for each in programs] == [0, 0, 0]
    assert max(longest_s) < STOPPED_S + TIMEOUT_S + 2 * LATE_S, longest_s
    _check(with_counter, programs, file)


def _check(client: Any, programs: List[Program], file: Path) -> None:
    client.start()
    last = int(client.get("/counter")[0])
    client.stop()
    client.close()
    values = [value for each in programs for value in _values(each)]
    doubts = sum(line == "doubt" for each in programs for line in each.output)
    assert len(set(values)) == len(values) and len(values) <= last <= len(values) + doubts, (last, len(values), doubts)
    fences = [int(line.split()[0]) for line in file.read_text().splitlines()]
    assert fences == sorted(fences) and len(set(fences)) == len(fences), "two had the lock"
