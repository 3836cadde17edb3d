"""Import boundaries: what is pure stays pure, and what goes through ports does not reach around them.

Checked twice: by reading every import statement (also those inside functions), and by importing each module in a
fresh interpreter and looking at what got loaded.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set

import pytest

ROOT = Path(__file__).resolve().parent.parent
BACKEND = ROOT / "backend"

PURE = frozenset(
    "__future__ abc base64 bisect collections copy dataclasses enum functools hashlib hmac ipaddress itertools math "
    "operator re string struct types typing unicodedata".split()
)
"""What the core may import from the standard library: no I/O, clock, random, threads or event loop."""

CLOCKS_AND_CHANCE = frozenset("datetime random secrets time uuid".split())
INPUT_AND_OUTPUT = frozenset(
    "concurrent fcntl http mmap multiprocessing os pathlib queue select selectors shutil signal socket sqlite3 ssl "
    "subprocess tempfile threading urllib".split()
)
CLOUD = frozenset("aioboto3 aiobotocore aiohttp boto3 botocore httpx requests urllib3".split())
CLIENT = frozenset({"fk_kazoo", "kazoo"})
SYSTEM = CLOCKS_AND_CHANCE | INPUT_AND_OUTPUT | CLOUD | {"asyncio"}


class Import(NamedTuple):
    """One import statement: ``module`` imports ``target``."""

    module: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def _modules(package: str) -> Dict[str, Path]:
    """The modules of ``package`` (a dotted name in backend/) and their files."""
    found = {}
    for path in sorted((BACKEND / package.replace(".", "/")).rglob("*.py")):
        parts = path.relative_to(BACKEND).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(module: str, path: Path) -> Iterator[Import]:
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(module, node.lineno, f"{source}.{alias.name}")


def _imports_of(package: str) -> List[Import]:
    return [item for module, path in _modules(package).items() for item in _imports(module, path)]


def _within(target: str, *packages: str) -> bool:
    return any(target == package or target.startswith(package + ".") for package in packages)


def _loaded_by(module: str) -> Set[str]:
    """What importing ``module`` loads in a fresh interpreter."""
    code = (
        f"import sys; sys.path.insert(0, {str(BACKEND)!r}); before = set(sys.modules)\n"
        f"import {module}; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, check=True, timeout=60, text=True)
    return set(done.stdout.split())


def _complain(wrong: List[Import]) -> str:
    return "\n".join(["these imports cross a boundary:", *map(str, wrong)])


def test_there_is_something_to_check() -> None:
    assert len(_modules("fk_backend.core")) > 3
    assert any(item.target == "typing.NamedTuple" for item in _imports_of("fk_backend.core"))


def test_core_imports_only_pure_modules() -> None:
    wrong = [
        item
        for item in _imports_of("fk_backend.core")
        if not _within(item.target, "fk_backend.core") and item.target.split(".")[0] not in PURE
    ]
    assert not wrong, _complain(wrong)


@pytest.mark.parametrize("module", sorted(_modules("fk_backend.core")))
def test_importing_the_core_loads_only_the_core(module: str) -> None:
    loaded = _loaded_by(module)
    ours = {name for name in loaded if _within(name, "fk_backend", "fk_kazoo", "kazoo")}
    assert {name for name in ours if not _within(name, "fk_backend.core")} == {"fk_backend"}
    assert not loaded & (CLOUD | {"asyncio", "random", "secrets", "socket", "sqlite3", "subprocess", "threading"})


THROUGH_PORTS = ("fk_backend.functions", "fk_backend.writer", "fk_backend.session")


@pytest.mark.parametrize("package", THROUGH_PORTS)
def test_functions_and_session_reach_the_world_through_ports(package: str) -> None:
    wrong = [
        item
        for item in _imports_of(package)
        if _within(item.target, "fk_backend.providers", "fk_backend.testing")
        or item.target.split(".")[0] in SYSTEM - {"asyncio"}
    ]
    assert not wrong, _complain(wrong)


@pytest.mark.parametrize("module", sorted(module for package in THROUGH_PORTS for module in _modules(package)))
def test_importing_functions_and_session_loads_no_provider(module: str) -> None:
    loaded = _loaded_by(module)
    assert not {name for name in loaded if _within(name, "fk_backend.providers", "fk_backend.testing")}
    assert not loaded & (CLOUD | CLIENT | {"sqlite3"})


@pytest.mark.parametrize("module", ["fk_backend.session.machine", "fk_backend.session.lease"])
def test_the_state_of_a_session_is_pure(module: str) -> None:
    wrong = [
        item
        for item in _imports(module, _modules("fk_backend.session")[module])
        if not _within(item.target, "fk_backend") and item.target.split(".")[0] not in PURE
    ]
    assert not wrong, _complain(wrong)
    assert not _loaded_by(module) & (SYSTEM | {"logging"}), "nor does what it imports"
    source = _modules("fk_backend.session")[module].read_text(encoding="utf-8")
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.AsyncFunctionDef, ast.Await))]


def test_the_backend_never_imports_the_client() -> None:
    wrong = [item for item in _imports_of("fk_backend") if item.target.split(".")[0] in CLIENT]
    assert not wrong, _complain(wrong)


def test_cloud_libraries_are_imported_by_their_provider_only() -> None:
    wrong = [
        item
        for item in _imports_of("fk_backend")
        if item.target.split(".")[0] in CLOUD and not _within(item.module, "fk_backend.providers.aws")
    ]
    assert not wrong, _complain(wrong)


def test_relative_imports_are_understood(tmp_path: Path) -> None:
    """The reader of import statements itself."""
    path = tmp_path / "writer.py"
    path.write_text(
        "from . import loading\nfrom ..core.model import Stat\nfrom .. import ports\ndef f():\n import os.path\n"
    )
    targets = [item.target for item in _imports("fk_backend.functions.writer", path)]
    assert targets == [
        "fk_backend.functions.loading",
        "fk_backend.core.model.Stat",
        "fk_backend.ports",
        "os.path",
    ]


# --- circles --------------------------------------------------------------------------------------


def _at_import(body: List[ast.stmt]) -> Iterator[ast.stmt]:
    """The import statements that are run when their module is imported: not in functions, nor for types alone."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If):
            if not isinstance(node.test, ast.Name) or node.test.id != "TYPE_CHECKING":
                yield from _at_import(node.body)
            yield from _at_import(node.orelse)
        elif isinstance(node, ast.Try):
            for part in (node.body, node.orelse, node.finalbody, *(handler.body for handler in node.handlers)):
                yield from _at_import(part)
        elif isinstance(node, (ast.ClassDef, ast.With)):
            yield from _at_import(node.body)


def _graph(modules: Dict[str, Path]) -> Dict[str, Set[str]]:
    """What each module imports of the others when it is imported itself."""
    graph: Dict[str, Set[str]] = {}
    for module, path in modules.items():
        lines = {node.lineno for node in _at_import(ast.parse(path.read_text(encoding="utf-8")).body)}
        targets = {item.target for item in _imports(module, path) if item.line in lines}
        # `from .a import b`: of a module b, if there is one, and else of a.
        found = {target if target in modules else target.rpartition(".")[0] for target in targets}
        graph[module] = (found & set(modules)) - {module}
    return graph


def _circle(graph: Dict[str, Set[str]]) -> List[str]:
    """What is left once everything is taken away that imports nothing of the rest, or that nothing imports."""
    left = dict(graph)
    while True:
        imported = {target for targets in left.values() for target in targets}
        idle = [module for module, targets in left.items() if not targets & set(left) or module not in imported]
        if not idle:
            return sorted(left)
        for module in idle:
            del left[module]


def test_no_module_imports_itself_by_way_of_others() -> None:
    modules = {
        ".".join(parts[:-1] if parts[-1] == "__init__" else parts): path
        for top, package in ((BACKEND, "fk_backend"), (ROOT, "fk_kazoo"))
        for path in (top / package).rglob("*.py")
        for parts in [path.relative_to(top).with_suffix("").parts]
    }
    graph = _graph(modules)
    assert "fk_backend.messages" in graph["fk_backend.ports"]
    assert _circle(graph) == []


def test_a_circle_is_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set(), "e": {"d"}}) == ["b", "c"]
    assert _circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []


# --- what each package says of itself -------------------------------------------------------------

PACKAGES = {
    ".".join(path.parent.relative_to(top).parts): path
    for top, name in ((BACKEND, "fk_backend"), *((ROOT, name) for name in ("fk_kazoo", "compat_tests", "benchmarks")))
    for path in sorted((top / name).rglob("__init__.py"))
}
SAYS = re.compile(r"^Imports: .+?\. Never: ([\w., ]+)\.$", re.MULTILINE)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_says_what_it_imports_and_keeps_to_it(package: str) -> None:
    path = PACKAGES[package]
    says = SAYS.search(ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
    assert says is not None, "no line 'Imports: .... Never: ....' in %s" % path
    never = says[1].split(", ")
    modules = {
        ".".join((package, file.stem)) if file.stem != "__init__" else package: file
        for file in path.parent.glob("*.py")
    }
    found = [item for module, file in modules.items() for item in _imports(module, file)]
    assert not (wrong := [item for item in found if _within(item.target, *never)]), _complain(wrong)
