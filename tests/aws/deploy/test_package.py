"""The functions' zip: the same bytes from the same source, nothing in it that is not needed, and everything that is."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

import fk_backend
from fk_backend.providers.aws import names, package

BUILD = """
import sys
from pathlib import Path
from fk_backend.providers.aws import package
print(package.build(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])).sha256)
"""


def _built(at: Path, target: str, **environment: str) -> Tuple[Path, str]:
    """Built from a copy of the source in ``at``, by an interpreter of its own, with nothing kept from earlier."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(fk_backend.__file__).parent, at / "source" / "fk_backend", ignore=ignored)
    made = at / "package.zip"
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(made), target, str(at / "cache")],
        env={**os.environ, "PYTHONPATH": str(at / "source"), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return made, done.stdout.strip()


@pytest.fixture(scope="module")
def for_lambda(tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, str]:
    return _built(tmp_path_factory.mktemp("one"), package.LAMBDA)


@pytest.mark.timeout(400)
def test_the_same_source_gives_the_same_bytes(for_lambda: Tuple[Path, str], tmp_path: Path) -> None:
    """Built elsewhere, at another time, with another umask, time zone and order of hashes."""
    before = os.umask(0o077)
    try:
        elsewhere = _built(tmp_path / "another" / "place", package.LAMBDA, TZ="Asia/Tokyo", PYTHONHASHSEED="7")
    finally:
        os.umask(before)
    assert elsewhere[1] == for_lambda[1]
    assert elsewhere[0].read_bytes() == for_lambda[0].read_bytes()


@pytest.mark.timeout(400)
def test_what_is_in_it(for_lambda: Tuple[Path, str]) -> None:
    with zipfile.ZipFile(for_lambda[0]) as made:
        entries = made.infolist()
    held = [entry.filename for entry in entries]
    assert held == sorted(held) and len(held) == len(set(held))
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {stat.filemode(entry.external_attr >> 16) for entry in entries} == {"-rw-r--r--"}
    assert {"fk_backend/functions/writer.py", "aiobotocore/session.py", "botocore/cacert.pem"} <= set(held)
    compiled = [name for name in held if name.endswith(".so")]
    assert compiled and all("cpython-313-aarch64-linux-gnu" in name for name in compiled)
    services = {name.split("/")[2] for name in held if name.startswith("botocore/data/") and name.count("/") > 2}
    assert services == set(package.SERVICES)
    ours = [name for name in held if name.startswith("fk_backend/")]
    for part in ("testing", "memory", "local", "dev", "template", "deploy", "policies", "package"):
        assert not [name for name in ours if part in name], part
    assert not [name for name in held if name.endswith((".pyi", "RECORD", "INSTALLER"))]
    bytecode = [name for name in held if name.endswith(".pyc")]
    python = package._python_of(package.LAMBDA)
    assert len(bytecode) == (0 if python is None else len([name for name in held if name.endswith(".py")]))
    licences = {name.split("-")[0] for name in held if ".dist-info/" in name}
    assert {"aiobotocore", "aiohttp", "botocore"} <= licences, "what we pass on comes with its licence"


def test_what_is_compiled_is_taken_as_it_is_and_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether its source is another one; and where there is no Python of the version, there is none."""
    root = Path(fk_backend.__file__).parent
    sources = {name: path.read_bytes() for name, path in package._sources(root).items()}
    made = package._compiled(sources, package.HOST)
    assert package._compiled(dict(reversed(list(sources.items()))), package.HOST) == made
    assert {importlib.util.source_from_cache(name) for name in made} == set(sources)
    for code in made.values():
        assert code[:4] == importlib.util.MAGIC_NUMBER and int.from_bytes(code[4:8], "little") == 0b01
    monkeypatch.setattr(package, "_python_of", lambda target: None)
    assert package._compiled(sources, package.LAMBDA) == {}


@pytest.mark.timeout(400)
def test_it_is_small(for_lambda: Tuple[Path, str]) -> None:
    """A cold start loads it: growing past this should be a decision."""
    compiled = package._python_of(package.LAMBDA) is not None
    assert for_lambda[0].stat().st_size < (8_000_000 if compiled else 5_000_000)


@pytest.mark.timeout(400)
def test_an_empty_interpreter_can_import_every_handler(tmp_path: Path) -> None:
    made, _ = _built(tmp_path / "host", package.HOST)
    with zipfile.ZipFile(made) as held:
        held.extractall(tmp_path / "task")
    venv.create(tmp_path / "empty", with_pip=False)
    names_of = [names.handler(which) for which in (names.WRITER, names.HEARTBEAT, names.DEAD_LETTER, names.SWEEPER)]
    program = "import sys; sys.path.insert(0, %r)\nimport importlib, aiohttp\n" % str(tmp_path / "task")
    for handler in names_of:
        module, _, function = handler.rpartition(".")
        program += "assert callable(getattr(importlib.import_module(%r), %r))\n" % (module, function)
    program += (
        "import asyncio\nfrom aiobotocore.session import get_session\n"
        "async def clients():\n"
        "    for service in %r:\n"
        "        async with get_session().create_client(service, region_name='eu-central-1') as client:\n"
        "            print(client.meta.endpoint_url)\n"
        "asyncio.run(clients())\n" % (package.SERVICES,)
    )
    environment = {"FK_DEPLOYMENT": "test", "AWS_ACCESS_KEY_ID": "1", "AWS_SECRET_ACCESS_KEY": "1"}
    done = subprocess.run(
        [str(tmp_path / "empty" / "bin" / "python"), "-I", "-c", program],
        env={**environment, "AWS_REGION": "eu-central-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.split()) == len(package.SERVICES)


def test_the_lock_is_read_for_a_version_of_python() -> None:
    lock = package.LOCK.read_text()

    def pins(version: Tuple[int, int]) -> Dict[str, str]:
        entries = [entry.split(" ")[0] for entry in package.pinned(lock, version)]
        found = dict(entry.split("==") for entry in entries)
        assert len(found) == len(entries), "one version of each"
        return found

    assert "typing-extensions" in pins((3, 12)) and "typing-extensions" not in pins((3, 13))
    assert "async-timeout" in pins((3, 10)) and "async-timeout" not in pins((3, 11))
    assert {"aiobotocore", "aiohttp", "botocore", "multidict"} <= set(pins((3, 13)))
    assert len(pins((3, 13))) + 4 == lock.count("=="), "nothing in the lock is overlooked"


def test_every_pin_has_hashes() -> None:
    entries: List[str] = list(package.pinned(package.LOCK.read_text(), package.LAMBDA_PYTHON))
    assert all("--hash=sha256:" in entry for entry in entries)
