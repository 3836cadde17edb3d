"""kazoo's types are kazoo's: compared with what it is at runtime, in the oldest and the newest release."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
from kazoo.client import KazooClient as KazoosClient

from fk_kazoo.client import KazooClient

from .checkers import ROOT

STUBS = ROOT / "fk_kazoo" / "stubs"
HERE = Path(__file__).parent
MADE_BY_INIT = {
    "retry",
    *("Barrier", "ChildrenWatch", "Counter", "DataWatch", "DoubleBarrier", "Election", "Lock", "LockingQueue"),
    *("MultiNonBlockingLease", "NonBlockingLease", "Party", "Queue", "ReadLock", "Semaphore", "SetPartitioner"),
    *("ShallowParty", "WriteLock"),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("release", ["2.8.0", "2.11.0"])
def test_stubtest(release: str, tmp_path: Path) -> None:
    """Every module, class, method, parameter and default."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install"]
    kazoo = tmp_path / "kazoo"
    subprocess.run([*pip, "--no-deps", "--target", str(kazoo), "kazoo==" + release, "six"], check=True, timeout=200)
    environ = {**os.environ, "PYTHONPATH": str(kazoo), "MYPYPATH": str(STUBS)}
    installed = [sys.executable, "-c", "import kazoo.version; print(kazoo.version.__version__, kazoo.__file__)"]
    version, path = subprocess.run(installed, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert version == release and path.startswith(str(kazoo))
    command = [sys.executable, "-m", "mypy.stubtest", "kazoo", "--concise", "--ignore-disjoint-bases"]
    allowed = [HERE / "allowed.txt", *HERE.glob("allowed-%s.txt" % release.rpartition(".")[0])]
    for each in allowed:
        command += ["--allowlist", str(each)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout


def _classes(name: str) -> Dict[str, ast.ClassDef]:
    tree = ast.parse((STUBS / "kazoo" / name).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _functions(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    return (each for each in node.body if isinstance(each, ast.FunctionDef))


def _declared(function: ast.FunctionDef) -> List[Tuple[str, bool]]:
    """The parameters after ``self``, and whether they have a default."""
    given = function.args
    required = len(given.args) - len(given.defaults)
    found = [(each.arg, number >= required) for number, each in enumerate(given.args)][1:]
    return found + [(each.arg, False) for each in (given.vararg, given.kwarg) if each]


def _actual(function: object) -> List[Tuple[str, bool]]:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return [(each.name, each.default is not each.empty) for each in signature.parameters.values()]


@pytest.mark.parametrize("name", sorted(MADE_BY_INIT - {"retry"}))
def test_a_recipe_of_the_client_takes_what_its_class_takes(name: str) -> None:
    """stubtest sees classes only, and each client makes these for itself."""
    first = next(each for each in _functions(_classes("client.pyi")["KazooClient"]) if each.name == name)
    theirs = _actual(getattr(KazoosClient("127.0.0.1:1"), name))
    assert _declared(first) == theirs
    ours = _actual(getattr(KazooClient("memory://types"), name))
    assert ours in (theirs, [*theirs, ("lost", True)])


def test_nothing_else_is_left_out_of_the_comparison() -> None:
    client = KazooClient("memory://types")
    public = {name for name in vars(client) if not name.startswith("_") and callable(getattr(client, name))}
    assert public - {"handler", "logger"} == MADE_BY_INIT


def test_our_client_takes_what_kazoos_takes() -> None:
    """Its own signature is for type checkers: at runtime it passes everything on."""
    tree = ast.parse((ROOT / "fk_kazoo" / "client.py").read_text(encoding="utf-8"))
    (ours,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and len(node.args.args) > 2
    ]
    (theirs,) = [each for each in _functions(_classes("client.pyi")["KazooClient"]) if each.name == "__init__"]
    assert _declared(ours) == _declared(theirs)
    defaults = [list(map(ast.dump, each.args.defaults)) for each in (ours, theirs)]
    assert defaults[0][1:] == defaults[1][1:]  # of hosts, ours is another one


@pytest.mark.parametrize("path", sorted(STUBS.rglob("*.pyi")), ids=lambda path: path.name)
def test_editors_have_something_to_show(path: Path) -> None:
    """Classes, and what apps call of them, have a text; an overload's is at the first."""
    if path.parent.name == "protocol" and path.stem in ("connection", "serialization"):
        return
    silent = []
    for node in _classes(str(path.relative_to(STUBS / "kazoo"))).values():
        if not node.name.startswith("_") and ast.get_docstring(node) is None:
            silent.append(node.name)
    if path.name == "client.pyi":
        told = set()
        for function in _functions(_classes("client.pyi")["KazooClient"]):
            if ast.get_docstring(function):
                told.add(function.name)
            elif function.name not in told and not function.name.startswith("_"):
                if not function.name.endswith("_async"):
                    silent.append(function.name)
    assert not silent
