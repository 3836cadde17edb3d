"""Ctrl-C at any moment: 130, one line, and nothing half done. `python -m tests.cli.interrupted` tries more of them."""

from __future__ import annotations

import random
import signal

import pytest

from fk_kazoo.interrupts import not_now

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
    with pytest.raises(KeyboardInterrupt), not_now():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    assert done == [1] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
