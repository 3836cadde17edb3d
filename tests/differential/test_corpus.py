"""What ZooKeeper 3.8 was seen to do, recorded, is what deployments do; and a difference would be found.

FK_DIFFERENTIAL_URLS (space-separated) names other deployments.
"""

from __future__ import annotations

import copy
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from compat_tests.differential.__main__ import main
from compat_tests.differential.compare import differences
from compat_tests.differential.corpus import save
from compat_tests.differential.runner import Server, Transcript

URLS = os.environ.get("FK_DIFFERENTIAL_URLS", "memory://corpus local://corpus").split()
AT_ONCE = 8
PROGRAMS = {"memory": 400, "local": 200}
"""Of the 2,000 recorded ones, evenly spread, by scheme; elsewhere all. All of them:
``python -m compat_tests.differential --url memory://NAME``, three minutes.
"""

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:kazoo")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Files of its own for local://, and no log of the connections that programs break on purpose."""
    logger = logging.getLogger("kazoo")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FK_KAZOO_HOME", str(tmp_path_factory.mktemp("home")))
        yield
    logger.setLevel(level)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("url", URLS)
def test_deployments_do_what_zookeeper_was_seen_to_do(url: str) -> None:
    """By the command that anybody can run."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "backend")])}
    count = PROGRAMS.get(url.partition(":")[0], 2000)
    options = ["--at-once", str(AT_ONCE), "--url", url, *(["--programs", str(count)] if count < 2000 else [])]
    command = [sys.executable, "-m", "compat_tests.differential", *options]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
    ran = re.search(r"(\d+) programs, 0 of them with differences", done.stdout)
    assert ran and int(ran.group(1)) >= count, done.stdout[-5000:]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("url", URLS)
def test_the_client_for_asyncio_does_what_zookeeper_was_seen_to_do(url: str) -> None:
    """A part of them, by the same command: the deployments are those of the test above."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "backend")])}
    count = 200 if url.startswith("memory") else 100
    options = ["--asyncio", "--at-once", str(AT_ONCE), "--url", url + "-asyncio", "--programs", str(count)]
    command = [sys.executable, "-m", "compat_tests.differential", *options]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
    ran = re.search(r"(\d+) programs, 0 of them with differences", done.stdout)
    assert ran and int(ran.group(1)) >= count, done.stdout[-5000:]


# --- the comparison is compared ---------------------------------------------------------------------

PROGRAM = [
    [0, [["create", "/a", "x", "open", 0, True]]],
    [1, [["create", "/a/e", "", "open", 1, True]]],
    [1, [["create", "/a/s", "", "open", 1, True]]],
    [0, [["get", "/a", "a"], ["children", "/a", "b", True], ["set", "/a", "y", 0]]],
    [2, [["get", "/a/e", "a"], ["children", "/a", "b", False]]],
    [0, [["set", "/a/e", "z", -1], ["set", "/a/none", "", -1]]],
    [2, [["exists", "/b", ""], ["get", "/a/e", ""]]],
    [1, ["end"]],
]


@pytest.fixture(scope="module")
def transcript(home: None) -> Transcript:
    """What the program sees: every kind of thing at least once."""
    server = Server.deployment("memory://compared")
    seen = server.run(PROGRAM)
    assert differences(seen, server.run(PROGRAM)) == []
    server.close()
    return seen


def _told(transcript: Transcript, session: int) -> List[Any]:
    told: List[Any] = list(transcript.values())[session]["told"]
    return told


def _index(told: List[Any], kind: str, name: str) -> int:
    return next(i for i, item in enumerate(told) if item[0] == kind and name in (item[1], item[1][0]))


def _other_version(seen: Transcript) -> None:
    told = _told(seen, 1)
    told[_index(told, "reply", "get")][2][1][3] += 1


def _other_zxid(seen: Transcript) -> None:
    told = _told(seen, 1)
    told[_index(told, "reply", "get")][2][1][1] -= 1


def _other_error(seen: Transcript) -> None:
    told = _told(seen, 1)
    next(item for item in told if item[-1] == {"error": "NoNodeError"})[-1]["error"] = "NoAuthError"


def _lost_event(seen: Transcript) -> None:
    told = _told(seen, 2)
    del told[_index(told, "event", "CHANGED")]


def _event_twice(seen: Transcript) -> None:
    told = _told(seen, 2)
    told.insert(0, told[_index(told, "event", "CHANGED")])


def _event_after_its_state(seen: Transcript) -> None:
    told = _told(seen, 2)
    at = _index(told, "event", "CHANGED")
    event = told.pop(at)
    while told[at][1][0] != "get":
        at += 1
    told.insert(at + 1, event)


def _event_too_early(seen: Transcript) -> None:
    told = _told(seen, 2)
    told.insert(0, told.pop(_index(told, "event", "CHANGED")))


def _other_state(seen: Transcript) -> None:
    next(iter(seen.values()))["states"].insert(1, "SUSPENDED")


def _watcher_not_called(seen: Transcript) -> None:
    list(seen.values())[2]["calls"]["a"].pop()


PLANTED = [
    _other_version,
    _other_zxid,
    _other_error,
    _lost_event,
    _event_twice,
    _event_after_its_state,
    _event_too_early,
    _other_state,
    _watcher_not_called,
]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_difference_is_found(transcript: Transcript, plant: Callable[[Transcript], None]) -> None:
    """Each of them, in a transcript that is otherwise the same."""
    wrong = copy.deepcopy(transcript)
    plant(wrong)
    assert wrong != transcript
    assert differences(transcript, wrong)


def test_an_event_may_come_later_if_nothing_shows_it(transcript: Transcript) -> None:
    """The one freedom in the order of things: after a read of something else."""
    later = copy.deepcopy(transcript)
    told = _told(later, 2)
    at = _index(told, "event", "CHANGED")
    assert told[at + 1][1][0] == "exists"
    told.insert(at + 1, told.pop(at))
    assert differences(transcript, later) == []


def test_the_command_says_what_differs(
    transcript: Transcript, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its exit code, that something does."""
    wrong = copy.deepcopy(transcript)
    _other_version(wrong)
    save([(PROGRAM, transcript), (PROGRAM, wrong)], tmp_path / "two.gz")
    arguments = ["--url", "memory://command", "--corpus", str(tmp_path / "two.gz")]
    assert main(arguments) == 1
    printed = capsys.readouterr().out
    assert "2 programs, 1 of them with differences" in printed and "program 1: " in printed
    assert main([*arguments, "--programs", "1"]) == 0
