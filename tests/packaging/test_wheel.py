"""The wheel installs fk_kazoo, fk_backend and kazoo's types and nothing else, and needs kazoo and nothing else."""

from __future__ import annotations

import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Iterator, List

import pytest

from .conftest import ROOT

SOURCES = {
    "fk_kazoo": ROOT / "fk_kazoo",
    "fk_backend": ROOT / "backend" / "fk_backend",
    "kazoo-stubs": ROOT / "fk_kazoo" / "stubs" / "kazoo",
}
SUFFIXES = (".py", ".pyi", ".html", ".css", ".js")
BORROWED = {
    "fk_kazoo/verify/kazoo_suite": ROOT / "compat_tests" / "kazoo_suite",
    "fk_kazoo/verify/recipes": ROOT / "compat_tests" / "recipes",
    "fk_kazoo/verify/examples": ROOT / "examples",
}
"""What `fk-kazoo verify` runs."""


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel_file) as archive:
        yield archive


def _metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (found,) = [entry for entry in wheel.namelist() if entry.endswith(f".dist-info/{name}")]
    return wheel.read(found).decode("utf-8")


@pytest.fixture
def described(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(_metadata(wheel, "METADATA"))


@pytest.mark.timeout(400)
def test_it_holds_our_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected: List[str] = []
    for package, source in {**SOURCES, **BORROWED}.items():
        for path in source.rglob("*"):
            if package == "fk_kazoo" and SOURCES["kazoo-stubs"] in path.parents:
                continue
            if path.suffix in SUFFIXES or path.name in ("py.typed", "lambda.lock", "pytest.ini"):
                expected.append(f"{package}/{path.relative_to(source).as_posix()}")
    held = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert sorted(held) == sorted(expected)
    assert {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name} == set(SOURCES)
    assert {"fk_kazoo/py.typed", "fk_backend/py.typed", "kazoo-stubs/py.typed", "kazoo-stubs/client.pyi"} <= set(held)


def test_the_plain_install_needs_kazoo_only(described: Message) -> None:
    required = described.get_all("Requires-Dist") or []
    plain = [requirement for requirement in required if "extra ==" not in requirement]
    assert [requirement.replace(" ", "") for requirement in plain] in (["kazoo<3,>=2.8"], ["kazoo>=2.8,<3"])
    cloud = [requirement.split(";") for requirement in required if 'extra == "aws"' in requirement]
    command_line = ["click>=8.1", "prompt_toolkit>=3.0.36", "rich>=13", "starlette>=0.27", "uvicorn>=0.23"]
    assert [name.strip() for name, _ in cloud] == [*command_line, "aiobotocore>=2.13", "boto3>=1.34.70"]


def test_metadata(described: Message, wheel: zipfile.ZipFile) -> None:
    import fk_kazoo

    assert described["Version"] == fk_kazoo.__version__
    assert described["Requires-Python"] == ">=3.9"
    assert "Apache-2.0" in (described["License-Expression"] or described["License"])
    assert any(name.endswith("LICENSE") for name in wheel.namelist())
    assert "fk-kazoo = fk_kazoo.__main__:main" in _metadata(wheel, "entry_points.txt")
