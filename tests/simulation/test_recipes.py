"""kazoo's recipes, their own code, in the simulated world: each keeps what it is for, and a seed is a run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from compat_tests.recipes import exclusion
from compat_tests.recipes.__main__ import CHECKS, main, simulated
from compat_tests.recipes.faulty_clients import FAULTS
from compat_tests.recipes.simulated import simulate
from tests.planted.hunt import BUGS

ROOT = Path(__file__).parent.parent.parent
SEEDS = int(os.environ.get("FK_RECIPE_SEEDS", "2"))
TRACES = "import logging; logging.disable(50); from compat_tests.recipes.__main__ import CHECKS, simulated; "
TRACES += "runs = [*((recipe, 1) for recipe in list(CHECKS)[::3]), ('TreeCache', 2), ('TreeCache', 7)]; "
TRACES += "print(*[simulated(recipe, 'partition', seed) for recipe, seed in runs])"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:kazoo"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:compat_tests"),
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Connections are broken on purpose."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("recipe", CHECKS)
def test_a_recipe_keeps_what_it_is_for(recipe: str, fault: str) -> None:
    for seed in range(SEEDS):
        simulated(recipe, fault, seed)


def _traces(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "%s:%s" % (ROOT, ROOT / "backend")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRACES],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout


def test_a_seed_is_a_run_in_any_process() -> None:
    first = _traces("1")
    assert len(set(first.split())) == len(list(CHECKS)[::3]) + 2 and first == _traces("2")


class NoLock:
    """Lets everybody in, and shows what it would rest on."""

    def __init__(self, client: Any, path: str) -> None:
        self.client, self.path = client, path
        client.ensure_path(path)
        self.node = client.create(path + "/x-", ephemeral=True, sequence=True).rpartition("/")[2]

    def acquire(self, timeout: float) -> bool:
        """At once."""
        return True

    def release(self) -> None:
        """Leaves nothing behind."""
        self.client.delete("%s/%s" % (self.path, self.node))


def test_a_lock_that_locks_nobody_out_is_found() -> None:
    def check(clients: Any, fault: Any) -> None:
        exclusion.check(clients, fault, lambda client, path, _: NoLock(client, path), ("write",))

    with pytest.raises(AssertionError, match=r"held at once|older fence"):
        simulate(check, "NoLock", "partition", 1)


@pytest.mark.parametrize(
    "name, recipe",
    [
        ("never overdue", "Lock"),
        ("events are not pushed", "Barrier"),
        ("ephemerals leak", "DoubleBarrier"),
        ("sequence counts the living", "Queue"),
    ],
)
def test_mistakes_of_the_product_are_found(name: str, recipe: str) -> None:
    (bug,) = [bug for bug in BUGS if bug.name == name]
    with bug.planted(), pytest.raises(AssertionError, match="seed"):
        for seed in range(50):
            simulated(recipe, "partition", seed)


def test_the_command_names_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--simulated", "1", "DoubleBarrier", "--fault", "expiry"]) == 0
    assert capsys.readouterr().out.split()[:3] == ["DoubleBarrier", "expiry", "holds"]
