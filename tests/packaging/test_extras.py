"""Each extra alone, in an environment that has nothing else, does what it is for.

The environment in which the other tests run has everything, and hides what an extra lacks. `dev` is left out: it is
what that environment is made of.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from compat_tests.on_aws import READY
from fk_backend.providers.aws.dev import venvs

from .conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LOCK = """
from fk_kazoo.client import KazooClient

client = KazooClient()
client.start()
lock = client.Lock("/a/lock", "me")
with lock:
    print("locked", lock.contenders())
client.stop()
client.close()
"""
_PIP = ["-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
_EXPORT = re.compile(r"\s+export (\w+)='?([^']*)'?$")


class Fresh:
    """An environment with the wheel, one extra (``""``: none) and nothing else, and nobody's settings."""

    def __init__(self, home: Path, wheel: Path, extra: str) -> None:
        self.home, self.bin = home, home / "venv" / "bin"
        ours = ("AWS_", "FK_", "PYTHON", "VIRTUAL_ENV")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        (home / "cache").mkdir()
        (home / "cache" / "fk-kazoo").symlink_to(venvs.cache())  # what `dev` sets up for itself was made by other tests
        self.environ.update(
            XDG_CACHE_HOME=str(home / "cache"),
            FK_KAZOO_HOME=str(home / "kazoo"),
            AWS_CONFIG_FILE=str(home / "none"),
            AWS_SHARED_CREDENTIALS_FILE=str(home / "none"),
            AWS_EC2_METADATA_DISABLED="true",
        )
        _run(sys.executable, "-m", "venv", "--without-pip", str(home / "venv"))  # a pip of its own takes seconds more
        pip = [sys.executable, *_PIP[:2], "--python", str(self.bin / "python"), *_PIP[2:]]
        install = ["install", "%s[%s]" % (wheel, extra) if extra else str(wheel)]
        if extra != "aws":  # which boto3 fits is found out there, and its first client has 15 s for all of its imports
            install.insert(1, "--no-compile")
            (home / "constraints").write_text("boto3==%s\n" % version("boto3"))
            install += ["--constraint", str(home / "constraints")]
        _run(*pip, *install)

    def run(self, *words: str, code: int = 0, **more: str) -> str:
        """What a program of the environment prints, far from the checkout."""
        return _run(str(self.bin / words[0]), *words[1:], code=code, cwd=self.home, env={**self.environ, **more})

    def run_here(self, *words: str) -> str:
        """What one of the checkout's own modules prints."""
        return _run(str(self.bin / "python"), "-m", *words, cwd=ROOT, env=self.environ)


def _run(*words: str, code: int = 0, **options: object) -> str:
    done = subprocess.run(  # type: ignore[call-overload]
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    assert done.returncode == code, "%s: %d\n%s" % (words, done.returncode, done.stdout[-5000:])
    printed: str = done.stdout
    return printed


@pytest.fixture
def fresh(request: pytest.FixtureRequest, tmp_path: Path, wheel_file: Path) -> Fresh:
    return Fresh(tmp_path, wheel_file, request.param)


def of(extra: str) -> pytest.MarkDecorator:
    """The test is one of this extra."""
    return pytest.mark.parametrize("fresh", [extra], indirect=True, ids=[extra or "none"])


def _exports(printed: Iterator[str]) -> Dict[str, str]:
    found: Dict[str, str] = {}
    seen: List[str] = []
    for line in printed:
        seen.append(line)
        export = _EXPORT.match(line.rstrip())
        if export:
            found[export[1]] = export[2]
        elif line.startswith(READY):
            return found
    raise AssertionError("".join(seen))


@of("aws")
@pytest.mark.skipif(sys.version_info < (3, 10), reason="the emulator needs Python 3.10")
def test_aws(fresh: Fresh) -> None:
    """As a newcomer does it: an emulated deployment in one terminal, everything else in another one, as it says."""
    command = [str(fresh.bin / "fk-kazoo"), "dev", "aws"]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=fresh.home, env=fresh.environ, **piped) as dev:
        try:
            assert dev.stdout is not None
            exports = _exports(dev.stdout)
            assert "locked ['me']" in fresh.run("python", "-c", LOCK, **exports)
            assert exports["AWS_ENDPOINT_URL"] in fresh.run("fk-kazoo", "status", "dev", **exports)
            assert "removed: dev" in fresh.run("fk-kazoo", "destroy", "dev", "--yes", "--force", **exports)
            assert "there is no deployment dev" in fresh.run("fk-kazoo", "status", "dev", code=3, **exports)
            dev.terminate()
            assert "Traceback" not in dev.stdout.read()
            assert dev.wait() == 0
        finally:
            dev.kill()
    _verify(fresh)


def _verify(fresh: Fresh) -> None:
    """The recipes come with the package; what kazoo's own tests need does not, and that is said."""
    words = ["--only", "recipes", "--only", "kazoo's tests", "--report", str(fresh.home / "report")]
    printed = fresh.run("fk-kazoo", "verify", "--emulator", "--quick", *words, code=3)
    assert "kazoo's own tests will NOT be run: pytest" in printed and "held: recipes" in printed


@of("")
def test_without_an_extra_the_commands_say_which_one(fresh: Fresh) -> None:
    for words in (
        ["dev", "aws"],
        ["deploy", "x", "--yes"],
        ["status", "x"],
        ["destroy", "x", "--yes"],
        ["package"],
        ["verify", "--budget", "2"],
    ):
        printed = fresh.run("fk-kazoo", *words, code=1)
        assert printed.count("\n") == 1 and "pip install 'fk_kazoo[aws]'" in printed
    for command in ("ls", "copy", "backup", "cost", "no-such-command"):
        assert "pip install 'fk_kazoo[cli]'" in fresh.run("fk-kazoo", command, code=1)
    assert "fk-kazoo run" in fresh.run("fk-kazoo", "--help") and "fk-kazoo 0" in fresh.run("fk-kazoo", "--version")
    assert "pip install 'fk_kazoo[postgres]'" in fresh.run("fk-kazoo", "init", "postgresql://h/d", code=1)
    printed = fresh.run("python", "-c", LOCK, code=1, FK_KAZOO_URL="aws://x")
    assert "pip install 'fk_kazoo[aws]'" in printed.splitlines()[-1]
    assert "locked ['me']" in fresh.run("python", "-c", LOCK)


@of("cli")
def test_cli(fresh: Fresh) -> None:
    """Every command can be asked for help; a look, a copy, a backup, a shell."""
    for command in fresh.run("python", "-c", "from fk_kazoo.cli.main import MODULES; print(*MODULES)").split():
        assert "Usage" in fresh.run("fk-kazoo", command, "--help") or command == "run"
    url = {"FK_KAZOO_URL": "local://app"}
    assert fresh.run("fk-kazoo", "create", "-p", "/a/b", "data", **url) == "/a/b\n"
    assert fresh.run("fk-kazoo", "get", "/a/b", **url) == "data"
    assert "every node is equal" in fresh.run("fk-kazoo", "copy", "local://app", "dump.gz", "--verify")
    assert "namespace default" in fresh.run("fk-kazoo", "backup", "local://app", "backup")
    assert fresh.run("fk-kazoo", "shell", **url) == ""
    fresh.run("python", "-c", "import prompt_toolkit")
    assert "pip install 'fk_kazoo[aws]'" in fresh.run("fk-kazoo", "ls", "--url", "aws://x", code=1)
    assert "pip install 'fk_kazoo[aws]'" in fresh.run("fk-kazoo", "status", "x", code=1)


@of("postgres")
def test_postgres(fresh: Fresh) -> None:
    """All that it needs is there: what fails is that no server is."""
    printed = fresh.run("fk-kazoo", "init", "postgresql://me@127.0.0.1:1/d", code=1)
    assert printed.count("\n") == 1 and "127.0.0.1:1" in printed and "pip" not in printed


@of("test")
def test_test(fresh: Fresh) -> None:
    """Every test can be loaded, and those pass that use what the others don't."""
    quiet = ["pytest", "--quiet", "-p", "no:cacheprovider"]
    fresh.run_here(*quiet, "--collect-only", "tests", "compat_tests", "--ignore", "compat_tests/servers")
    assert " passed" in fresh.run_here(*quiet, "--numprocesses", "2", "tests/test_codec_messages.py")


APP = """
import unittest
from fk_kazoo.testing import KazooTestCase

class TestApp(KazooTestCase):
    def test_something(self):
        self.client.create("/a")

def test_lock(zk, zk_client, zk_faults):
    lock = zk.Lock("/lock", "me")
    assert lock.acquire(timeout=5)
    zk_faults.expire(zk)
    assert zk_client().Lock("/lock", "other").acquire(timeout=5)
"""


@of("testing")
def test_testing(fresh: Fresh) -> None:
    """An app's own tests: pytest, kazoo and nothing else."""
    (fresh.home / "test_app.py").write_text(APP)
    assert "2 passed" in fresh.run("python", "-m", "pytest", "--quiet", "test_app.py")


@of("servers")
def test_servers(fresh: Fresh) -> None:
    chosen = "gunicorn and gevent and module"
    suite = ["pytest", "--quiet", "-p", "no:cacheprovider", "compat_tests/servers", "-k", chosen]
    assert " passed" in fresh.run_here(*suite)


@of("bench")
def test_bench(fresh: Fresh, tmp_path: Path) -> None:
    smoke = ["benchmarks", "local", "--smoke", "--systems", "memory,zake", "--disk", str(tmp_path)]
    assert "memory://" in fresh.run_here(*smoke)
    fresh.run_here("benchmarks", "growth", "--smoke", "--disk", str(tmp_path))
    assert list(tmp_path.glob("growth-*.svg"))
