"""Ctrl-C at any moment: 130, one line, and nothing half done. `python -m tests.cli.interrupted` tries more of them."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import pytest

from fk_kazoo.interrupts import defer_interrupts

from .interrupted import COMMANDS, FOR_EVER, Scene, lives

MOMENTS = 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """With a place of its own."""
    return Scene(tmp_path_factory.mktemp("interrupted"))


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_at_moments_of_its_life(name: str, scene: Scene) -> None:
    codes = lives(scene, name, MOMENTS, random.Random(name), 1.0)
    assert 130 in codes or name not in FOR_EVER


def test_what_is_short_is_done_first() -> None:
    """And the interrupt comes then, once."""
    done = []
    with pytest.raises(KeyboardInterrupt), defer_interrupts():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    assert done == [1] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


LOST = """
import signal, sys
from fk_kazoo.interrupts import run_command

class Interrupted:
    def __del__(self):
        raise KeyboardInterrupt

def command():
    Interrupted()
    signal.pause()

sys.exit(run_command(command))
"""


def test_one_that_comes_where_nothing_can_be_raised_comes_again() -> None:
    """Python only prints what is raised while an object is removed; and what is raised in the hook for that, too."""
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (130, b"fk-kazoo: interrupted\n")
