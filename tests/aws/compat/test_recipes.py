"""kazoo's recipes keep what they are for on `aws://`, with packaged functions and permissions enforced.

Every recipe under a third of the faults, and each fault under a third of them, so that CI has the time;
FK_RECIPES_ON_AWS=all: all of them.
"""

from __future__ import annotations

import os

import pytest

from compat_tests.recipes.__main__ import CHECKS, KILL, check
from compat_tests.recipes.faulty_clients import FAULTS
from fk_backend.providers.aws import poll
from fk_backend.session.engine import Session

FAULTS_HERE = [*FAULTS, KILL]
ALL = [(recipe, fault) for recipe in CHECKS for fault in FAULTS_HERE]
CHOSEN = ALL if os.environ.get("FK_RECIPES_ON_AWS") == "all" else ALL[::3]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:kazoo"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:compat_tests"),
]


@pytest.mark.parametrize("recipe, fault", CHOSEN)
def test_a_recipe_keeps_what_it_is_for(emulated_url: str, recipe: str, fault: str) -> None:
    check(emulated_url, recipe, fault)


def test_a_client_that_does_not_notice_that_it_is_cut_off_is_found(
    emulated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but itself tells it, and the others go on when its session is over."""
    monkeypatch.setattr(Session, "overdue", lambda self: False)
    monkeypatch.setattr(poll, "LOST_AFTER_S", 3600.0)
    with pytest.raises(AssertionError, match="held at once"):
        check(emulated_url, "Lock", "partition")
