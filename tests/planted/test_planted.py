"""Every check can fail: each planted bug is caught, and nothing is caught where none is planted."""

from __future__ import annotations

import pytest

from .bug import BUGS, Bug
from .hunt import SEEDS, hunt

CLEAN = Bug("none", "nothing is wrong", ())


def test_there_are_enough_of_them_and_each_has_its_name() -> None:
    assert len(BUGS) >= 40 and len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    catch = hunt(bug)
    assert catch is not None, "got away for %d seeds: %s" % (SEEDS, bug.says)


def test_without_a_bug_nothing_is_caught() -> None:
    assert hunt(CLEAN, 150) is None
