"""kazoo's recipes keep what they are for while sessions expire, networks part and clients vanish.

FK_RECIPES_URLS (space-separated) names other deployments.
"""

from __future__ import annotations

import os
from typing import Any, Iterator, List, Optional

import pytest

from compat_tests.recipes import killed
from compat_tests.recipes.__main__ import CHECKS, KILL, check, main
from compat_tests.recipes.exclusion import Grant, judge
from compat_tests.recipes.exclusion import check as check_exclusion
from compat_tests.recipes.faulty_clients import FAULTS, Client, Clients

URLS = os.environ.get("FK_RECIPES_URLS", "memory://recipes local://recipes").split()

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:kazoo"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:compat_tests"),
]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Files of its own for local://."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FK_KAZOO_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("recipe", CHECKS)
def test_a_recipe_keeps_what_it_is_for(url: str, recipe: str, fault: str) -> None:
    check(url, recipe, fault)


# --- the holder is a process, and killed ------------------------------------------------------------


@pytest.mark.timeout(300)
@pytest.mark.parametrize("recipe", CHECKS)
def test_a_recipe_survives_the_kill_of_a_process_that_uses_it(recipe: str) -> None:
    check("local://killed", recipe, KILL)


def test_a_lock_that_does_not_wait_for_the_killed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(killed.CHECKS, "Lock", killed.exclusive(lambda client, path: None))
    with pytest.raises(AssertionError, match="two have it"):
        check("local://planted", "Lock", KILL)


# --- the checks are checked -------------------------------------------------------------------------


class NoLock:
    """Lets everybody in, and shows what it would rest on."""

    def __init__(self, client: Any, path: str) -> None:
        self.path = path
        client.ensure_path(path)
        self.node = client.create(path + "/x-", ephemeral=True, sequence=True).rpartition("/")[2]

    def acquire(self, timeout: float) -> bool:
        """At once."""
        return True

    def release(self) -> None:
        """Nothing to do."""


def test_a_lock_that_locks_nobody_out_is_found() -> None:
    clients = Clients(lambda can_fail: Client("memory://recipes", can_fail))
    try:
        with pytest.raises(AssertionError, match=r"held at once|older fence"):
            check_exclusion(clients, FAULTS["partition"], lambda client, path, _: NoLock(client, path), ("write",))
    finally:
        clients.close()


def _grant(fence: int, began: float, ended: Optional[float], kind: str = "write") -> Grant:
    grant = Grant("somebody", kind, fence)
    grant.began, grant.ended = began, ended
    return grant


@pytest.mark.parametrize(
    "grants, limit",
    [
        ([_grant(1, 0, 2), _grant(2, 1, 3)], 1),
        ([_grant(1, 0, None), _grant(2, 1, 3)], 1),
        ([_grant(2, 0, 1), _grant(1, 2, 3)], 1),
        ([_grant(1, 0, 1), _grant(1, 2, 3)], 1),
        ([_grant(1, 0, 2, "read"), _grant(2, 1, 3)], 1),
        ([_grant(1, 0, 2), _grant(2, 1, 3, "read")], 1),
        ([_grant(1, 0, 9, "lease"), _grant(2, 1, 9, "lease"), _grant(3, 2, 9, "lease")], 2),
    ],
)
def test_what_excludes_each_other_may_not_overlap(grants: List[Grant], limit: int) -> None:
    with pytest.raises(AssertionError):
        judge(grants, FAULTS["partition"], limit)


def test_what_does_not_exclude_each_other_may() -> None:
    judge([_grant(1, 0, 2, "read"), _grant(2, 1, 3, "read"), _grant(3, 3, 4)], FAULTS["partition"], 1)
    judge([_grant(1, 0, 2, "lease"), _grant(2, 1, 3, "lease"), _grant(3, 2, 4, "lease")], FAULTS["partition"], 2)


def test_the_command_names_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "memory://recipes", "Barrier", "--fault", "expiry"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["Barrier", "expiry", "holds"],
        ["DoubleBarrier", "expiry", "holds"],
    ]
