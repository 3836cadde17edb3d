"""``fk-kazoo run``: the app finds what it would find under plain python, except for the client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Dict, List, Optional

import pytest

import fk_kazoo
from fk_kazoo.__main__ import main
from fk_kazoo.run import on_path, split

SWAPPED = """
import kazoo.client
import fk_kazoo.client
from kazoo.client import KazooClient
assert KazooClient is fk_kazoo.client.KazooClient, KazooClient
assert KazooClient.__mro__[1].__module__ == "kazoo.client", KazooClient.__mro__
assert kazoo.client.__loader__ is kazoo.client.__spec__.loader
assert "fk_kazoo" not in repr(kazoo.client.__loader__)
print("swapped")
"""


def _python(
    *arguments: str, cwd: Path, environ: Optional[Dict[str, str]] = None, code: int = 0
) -> "subprocess.CompletedProcess[str]":
    base = {name: value for name, value in os.environ.items() if name != "FK_KAZOO_URL"}
    paths = os.pathsep.join(path for path in sys.path if path and path != str(cwd))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**base, "PYTHONPATH": paths, **(environ or {})},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done


def _run(*arguments: str, cwd: Path, environ: Optional[Dict[str, str]] = None, code: int = 0) -> str:
    return _python("-m", "fk_kazoo", "run", *arguments, cwd=cwd, environ=environ, code=code).stdout


def _app(directory: Path, source: str, name: str = "app.py") -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


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
    _app(tmp_path, imports + "\n" + SWAPPED)
    assert _run("app.py", cwd=tmp_path) == "swapped\n"


def test_the_client_is_swapped_when_threads_import_it_at_once(tmp_path: Path) -> None:
    _app(
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
    assert _run("app.py", cwd=tmp_path).split() == ["8", "8"]


def test_only_the_client_is_swapped(tmp_path: Path) -> None:
    _app(tmp_path, "from kazoo.client import KazooState, KazooRetry, ACL\nprint(KazooState.__module__)\n")
    assert _run("app.py", cwd=tmp_path) == "kazoo.protocol.states\n"


def test_swapping_after_kazoo_was_imported(tmp_path: Path) -> None:
    _app(tmp_path, "import kazoo.client\nfrom fk_kazoo.run import swap\nswap()\nswap()\n" + SWAPPED)
    assert _python("app.py", cwd=tmp_path).stdout == "swapped\n"


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
        _app(tmp_path, IDENTITY, name)
    _app(tmp_path, "", "package/__init__.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "sub" / "app.py")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", IDENTITY)
    assert _run(*arguments, cwd=tmp_path) == _python(*arguments, cwd=tmp_path).stdout


def test_safe_path_is_respected(tmp_path: Path) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("this Python has no -P")
    _app(tmp_path, IDENTITY)
    ours = _python("-P", "-m", "fk_kazoo", "run", "app.py", cwd=tmp_path).stdout
    assert ours == _python("-P", "app.py", cwd=tmp_path).stdout


def test_nothing_that_has_to_be_patched_is_imported_before_the_app(tmp_path: Path) -> None:
    _app(tmp_path, "import sys\nprint(*sorted(sys.modules))\n")
    plain = set(_python("app.py", cwd=tmp_path).stdout.split())
    extra = set(_run("app.py", cwd=tmp_path).split()) - plain
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
    _app(tmp_path, textwrap.dedent(source) + SWAPPED)
    done = _python("-W", "error", "-m", "fk_kazoo", "run", "app.py", cwd=tmp_path)
    assert done.stdout == "swapped\n"


@pytest.mark.parametrize(("statement", "code"), [("raise SystemExit(7)", 7), ("raise SystemExit('no')", 1), ("1/0", 1)])
def test_exit_codes_pass_through(tmp_path: Path, statement: str, code: int) -> None:
    _app(tmp_path, f"import atexit\natexit.register(print, 'at exit')\n{statement}\n")
    assert _run("app.py", cwd=tmp_path, code=code) == "at exit\n"
    assert _run("-m", "app", cwd=tmp_path, code=code) == "at exit\n"


@pytest.mark.parametrize("source", ["def f():\n    1/0\nf()\n", "def f(:\n", "import nothing_of_that_name\n"])
@pytest.mark.parametrize("arguments", [["app.py"], ["-m", "app"]])
def test_tracebacks_are_as_under_plain_python(tmp_path: Path, source: str, arguments: List[str]) -> None:
    _app(tmp_path, source)
    ours = _python("-m", "fk_kazoo", "run", *arguments, cwd=tmp_path, code=1).stderr
    assert ours == _python(*arguments, cwd=tmp_path, code=1).stderr


def test_the_apps_own_excepthook_is_called(tmp_path: Path) -> None:
    _app(tmp_path, "import sys\nsys.excepthook = lambda *_: print('hooked')\n1/0\n")
    assert _run("app.py", cwd=tmp_path, code=1) == "hooked\n"


def test_signals_end_it_as_they_end_python(tmp_path: Path) -> None:
    _app(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(30)\n")
    _run("app.py", cwd=tmp_path, code=-signal.SIGINT)


def test_threads_and_pickles_find_main_after_it_ended(tmp_path: Path) -> None:
    _app(
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
    assert _run("app.py", cwd=tmp_path) == "True\n"


URL = "import os\nprint(os.environ['FK_KAZOO_URL'])\n"


@pytest.mark.parametrize(
    ("options", "environ", "url"),
    [
        ([], {}, "local://default"),
        ([], {"FK_KAZOO_URL": ""}, "local://default"),
        ([], {"FK_KAZOO_URL": "memory://m/a"}, "memory://m/a"),
        (["--url", "local://other"], {"FK_KAZOO_URL": "memory://m"}, "local://other"),
        (["--url=local://other"], {}, "local://other"),
        (["--url=local://other", "--"], {}, "local://other"),
    ],
)
def test_the_deployment(tmp_path: Path, options: List[str], environ: Dict[str, str], url: str) -> None:
    _app(tmp_path, URL)
    assert _run(*options, "app.py", cwd=tmp_path, environ=environ) == url + "\n"
    assert _run(*options[:1], *options[1:2], "-mapp", cwd=tmp_path, environ=environ) == url + "\n" or "--" in options


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which app"),
        (["-m"], "which app"),
        (["--url", "local://a"], "which app"),
        (["--url", "zk://a", "app.py"], "one of memory, local, aws"),
        (["--nothing", "app.py"], "unrecognized arguments: --nothing"),
        (["nothing.py"], "can't open file 'nothing.py'"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: List[str], says: str) -> None:
    _app(tmp_path, "print('not reached')")
    done = _python("-m", "fk_kazoo", "run", *arguments, cwd=tmp_path, code=2)
    assert says in done.stderr
    assert not done.stdout


def test_a_bad_url_in_the_environment_is_refused(tmp_path: Path) -> None:
    _app(tmp_path, "print('not reached')")
    assert _run("app.py", cwd=tmp_path, environ={"FK_KAZOO_URL": "nonsense"}, code=2) == ""


def test_an_installed_script_is_found_by_its_name(tmp_path: Path) -> None:
    script = _app(tmp_path, "import sys\nprint('script', sys.argv[1:])\n", "bin/fk-kazoo-test-script")
    script.chmod(0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environ = {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    assert _run("fk-kazoo-test-script", "-x", cwd=elsewhere, environ=environ) == "script ['-x']\n"
    assert on_path("no-such-script-anywhere") == "no-such-script-anywhere"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"fk-kazoo {fk_kazoo.__version__} (kazoo 2.")


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "run " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "own", "app"),
    [
        ("app.py --url x", "", "app.py --url x"),
        ("--url u app.py -h", "--url u", "app.py -h"),
        ("--url=u -m x -h", "--url=u", "-m x -h"),
        ("-h app.py", "-h", "app.py"),
        ("-- -app.py --", "", "-app.py --"),
        ("--url", "--url", ""),
    ],
)
def test_nothing_behind_the_app_is_ours(arguments: str, own: str, app: str) -> None:
    assert split(arguments.split()) == (own.split(), app.split())
