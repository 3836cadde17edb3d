"""The wheel installs fk_kazoo and fk_backend and nothing else, and needs kazoo and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Iterator, List

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = {"fk_kazoo": ROOT / "fk_kazoo", "fk_backend": ROOT / "backend" / "fk_backend"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Built from a copy, so that nothing that earlier builds left behind gets in and nothing is left behind."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.cfg", "setup.py", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for name in ("fk_kazoo", "backend", "tests", "examples", "compat_tests"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    target = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--wheel-dir", str(target)]
    done = subprocess.run([*pip, str(copy)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    (built,) = target.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
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
    for package, source in SOURCES.items():
        for path in source.rglob("*"):
            if path.suffix == ".py" or path.name in ("py.typed", "lambda.lock"):
                expected.append(f"{package}/{path.relative_to(source).as_posix()}")
    held = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert sorted(held) == sorted(expected)
    assert {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name} == set(SOURCES)
    assert {"fk_kazoo/py.typed", "fk_backend/py.typed"} <= set(held)


def test_the_plain_install_needs_kazoo_only(described: Message) -> None:
    required = described.get_all("Requires-Dist") or []
    plain = [requirement for requirement in required if "extra ==" not in requirement]
    assert [requirement.replace(" ", "") for requirement in plain] in (["kazoo<3,>=2.8"], ["kazoo>=2.8,<3"])
    cloud = [requirement.split(";") for requirement in required if 'extra == "aws"' in requirement]
    assert [name.strip() for name, _ in cloud] == ["aiobotocore[boto3]>=2.13", "rich>=13"]


def test_metadata(described: Message, wheel: zipfile.ZipFile) -> None:
    import fk_kazoo

    assert described["Version"] == fk_kazoo.__version__
    assert described["Requires-Python"] == ">=3.9"
    assert "Apache-2.0" in (described["License-Expression"] or described["License"])
    assert any(name.endswith("LICENSE") for name in wheel.namelist())
    assert "fk-kazoo = fk_kazoo.__main__:main" in _metadata(wheel, "entry_points.txt")
