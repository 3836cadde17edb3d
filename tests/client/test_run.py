"""``fk-kazoo run``: the app finds what it would find under plain python, except for the client."""

from __future__ import annotations

import signal
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import List

import pytest

from tests.client import apps

SWAPPED = """
import kazoo.client
import fk_kazoo.client
from kazoo.client import KazooClient
assert KazooClient is fk_kazoo.client.KazooClient, KazooClient
assert [kind.__module__ for kind in KazooClient.__mro__].count("kazoo.client") == 1, KazooClient.__mro__
assert kazoo.client.__loader__ is kazoo.client.__spec__.loader
assert "fk_kazoo" not in repr(kazoo.client.__loader__)
print("swapped")
"""


@pytest.mark.parametrize(
    "imports",
    [
        "",
        "import kazoo",
        "import kazoo.exceptions, kazoo.retry",
        "from kazoo.recipe.lock import Lock",
        "import fk_kazoo.client",
        "from fk_kazoo.client import KazooClient as Ours",
        "from kazoo.client import *",
    ],
)
def test_the_client_is_swapped_however_it_is_imported(tmp_path: Path, imports: str) -> None:
    apps.app(tmp_path, imports + "\n" + SWAPPED)
    assert apps.run("app.py", cwd=tmp_path) == "swapped\n"


def test_the_client_is_swapped_when_threads_import_it_at_once(tmp_path: Path) -> None:
    apps.app(
        tmp_path,
        """
        import importlib, threading
        found = []
        go = threading.Barrier(8)
        def look(name):
            go.wait()
            found.append(importlib.import_module(name).KazooClient.__module__)
        threads = [threading.Thread(target=look, args=("kazoo.client",)) for n in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(found.count("fk_kazoo.client"), len(found))
        """,
    )
    assert apps.run("app.py", cwd=tmp_path).split() == ["8", "8"]


def test_only_the_client_is_swapped(tmp_path: Path) -> None:
    apps.app(tmp_path, "from kazoo.client import KazooState, KazooRetry, ACL\nprint(KazooState.__module__)\n")
    assert apps.run("app.py", cwd=tmp_path) == "kazoo.protocol.states\n"


def test_swapping_after_kazoo_was_imported(tmp_path: Path) -> None:
    apps.app(tmp_path, "import kazoo.client\nfrom fk_kazoo.run import swap\nswap()\nswap()\n" + SWAPPED)
    assert apps.python("app.py", cwd=tmp_path).stdout == "swapped\n"


IDENTITY = """
import __main__, json, os, sys
names = sorted(name for name in vars(__main__) if name not in ("__annotations__", "__conditional_annotations__"))
print(json.dumps({
    "argv": sys.argv, "path": sys.path[0], "file": os.path.abspath(__file__), "name": __name__,
    "package": __package__, "spec": __spec__ and __spec__.name, "loader": type(__loader__).__name__,
    "names": [name for name in names if name not in ("json", "os", "sys")],
    "main": vars(__main__) is globals(),
}, sort_keys=True))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["app.py"],
        ["app.py", "--url", "x", "-m", "--", "--version"],
        ["sub/app.py", "-h"],
        ["link.py"],
        ["-m", "app", "--url", "x"],
        ["-m", "package", "-m", "x"],
        ["-m", "package.module"],
        ["directory", "a"],
        ["app.zip", "a"],
    ],
)
def test_argv_path_and_main_are_as_under_plain_python(tmp_path: Path, arguments: List[str]) -> None:
    for name in ("app.py", "sub/app.py", "package/__main__.py", "package/module.py", "directory/__main__.py"):
        apps.app(tmp_path, IDENTITY, name)
    apps.app(tmp_path, "", "package/__init__.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "sub" / "app.py")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", IDENTITY)
    assert apps.run(*arguments, cwd=tmp_path) == apps.python(*arguments, cwd=tmp_path).stdout


def test_safe_path_is_respected(tmp_path: Path) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("this Python has no -P")
    apps.app(tmp_path, IDENTITY)
    ours = apps.python("-P", "-m", "fk_kazoo", "run", "app.py", cwd=tmp_path).stdout
    assert ours == apps.python("-P", "app.py", cwd=tmp_path).stdout


def test_nothing_that_has_to_be_patched_is_imported_before_the_app(tmp_path: Path) -> None:
    apps.app(tmp_path, "import sys\nprint(*sorted(sys.modules))\n")
    plain = set(apps.python("app.py", cwd=tmp_path).stdout.split())
    extra = set(apps.run("app.py", cwd=tmp_path).split()) - plain
    patched = {"kazoo", "queue", "select", "selectors", "signal", "socket", "ssl", "subprocess", "threading", "time"}
    assert not extra & (patched | {"asyncio", "logging", "fk_kazoo.client"})
    assert not {name for name in extra if name.startswith("kazoo.")}


def test_gevent_patches_before_kazoo_is_imported(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    source = """
        from gevent import monkey
        monkey.patch_all()
        import time, kazoo.retry
        assert kazoo.retry.KazooRetry().sleep_func is time.sleep
        assert time.sleep.__module__.startswith("gevent")
    """
    apps.app(tmp_path, textwrap.dedent(source) + SWAPPED)
    done = apps.python("-W", "error", "-m", "fk_kazoo", "run", "app.py", cwd=tmp_path)
    assert done.stdout == "swapped\n"


@pytest.mark.parametrize(("statement", "code"), [("raise SystemExit(7)", 7), ("raise SystemExit('no')", 1), ("1/0", 1)])
def test_exit_codes_pass_through(tmp_path: Path, statement: str, code: int) -> None:
    apps.app(tmp_path, f"import atexit\natexit.register(print, 'at exit')\n{statement}\n")
    assert apps.run("app.py", cwd=tmp_path, code=code) == "at exit\n"
    assert apps.run("-m", "app", cwd=tmp_path, code=code) == "at exit\n"


@pytest.mark.parametrize("source", ["def f():\n    1/0\nf()\n", "def f(:\n", "import nothing_of_that_name\n"])
@pytest.mark.parametrize("arguments", [["app.py"], ["-m", "app"]])
def test_tracebacks_are_as_under_plain_python(tmp_path: Path, source: str, arguments: List[str]) -> None:
    apps.app(tmp_path, source)
    ours = apps.python("-m", "fk_kazoo", "run", *arguments, cwd=tmp_path, code=1).stderr
    assert ours == apps.python(*arguments, cwd=tmp_path, code=1).stderr


def test_the_apps_own_excepthook_is_called(tmp_path: Path) -> None:
    apps.app(tmp_path, "import sys\nsys.excepthook = lambda *_: print('hooked')\n1/0\n")
    assert apps.run("app.py", cwd=tmp_path, code=1) == "hooked\n"


def test_signals_end_it_as_they_end_python(tmp_path: Path) -> None:
    """Also where SIGINT is ignored, as in a background job of a shell."""
    heard = "import os, signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    apps.app(tmp_path, heard + "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n")
    apps.run("app.py", cwd=tmp_path, code=-signal.SIGINT)


def test_threads_and_pickles_find_main_after_it_ended(tmp_path: Path) -> None:
    apps.app(
        tmp_path,
        """
        import pickle, threading, time
        class Thing:
            pass
        def later():
            time.sleep(0.3)
            print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)
        threading.Thread(target=later).start()
        """,
    )
    assert apps.run("app.py", cwd=tmp_path) == "True\n"


@pytest.mark.parametrize("first", ["kazoo.client", "fk_kazoo.client"])
def test_the_client_is_swapped_whoever_loads_it(tmp_path: Path, first: str) -> None:
    """pytest loads whatever comes with a plugin of its own kind, and puts itself before everybody else."""
    apps.app(tmp_path, "import pytest\npytest.register_assert_rewrite('fk_kazoo', 'fk_backend')\n", "conftest.py")
    apps.app(
        tmp_path,
        "import %s, kazoo.client as c\n\n" % first
        + "def test_it():\n    assert c.KazooClient.__module__ == 'fk_kazoo.client'\n",
        "test_app.py",
    )
    strict = ["-W", "error::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider"]
    assert "1 passed" in apps.run("--url", "memory://x", "-m", "pytest", "-q", *strict, cwd=tmp_path)
