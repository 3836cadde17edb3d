"""The command line: which deployment, which app, and what is said to wrong usage."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List

import pytest

import fk_kazoo
from fk_kazoo.__main__ import main
from fk_kazoo.run import on_path, split
from tests.client import apps

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
    apps.app(tmp_path, URL)
    assert apps.run(*options, "app.py", cwd=tmp_path, environ=environ) == url + "\n"
    if "--" not in options:
        assert apps.run(*options, "-mapp", cwd=tmp_path, environ=environ) == url + "\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which app"),
        (["-m"], "which app"),
        (["--url", "local://a"], "which app"),
        (["--url", "zk://a", "app.py"], "that is a ZooKeeper, and here a deployment is needed"),
        (["--nothing", "app.py"], "unrecognized arguments: --nothing"),
        (["nothing.py"], "can't open file 'nothing.py'"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: List[str], says: str) -> None:
    apps.app(tmp_path, "print('not reached')")
    done = apps.python("-m", "fk_kazoo", "run", *arguments, cwd=tmp_path, code=2)
    assert says in done.stderr
    assert not done.stdout


def test_a_bad_url_in_the_environment_is_refused(tmp_path: Path) -> None:
    apps.app(tmp_path, "print('not reached')")
    assert apps.run("app.py", cwd=tmp_path, environ={"FK_KAZOO_URL": "nonsense"}, code=2) == ""


def test_an_installed_script_is_found_by_its_name(tmp_path: Path) -> None:
    script = apps.app(tmp_path, "import sys\nprint('script', sys.argv[1:])\n", "bin/fk-kazoo-test-script")
    script.chmod(0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environ = {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
    assert apps.run("fk-kazoo-test-script", "-x", cwd=elsewhere, environ=environ) == "script ['-x']\n"
    assert on_path("no-such-script-anywhere") == "no-such-script-anywhere"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"fk-kazoo {fk_kazoo.__version__} (kazoo 2.")


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "  run " in told and "  copy " in told


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


def test_other_hosts_than_the_configured_ones_are_told_once(tmp_path: Path) -> None:
    """Which deployment stands for them; not where they are known to be meant, nor where none are named."""
    source = "from kazoo.client import KazooClient\n" + "KazooClient('zk1:2181,zk2:2181/app')\n" * 2
    apps.app(tmp_path, source)
    told = apps.python("-m", "fk_kazoo", "run", "--url", "memory://m", "app.py", cwd=tmp_path).stderr
    assert told.count("memory://m/app stands for the ZooKeeper zk1:2181,zk2:2181") == 1
    meant = {"FK_KAZOO_HOSTS": "zk2:2181, zk1:2181"}
    assert not apps.python("-m", "fk_kazoo", "run", "--url", "memory://m", "app.py", cwd=tmp_path, environ=meant).stderr
    apps.app(tmp_path, "from kazoo.client import KazooClient\nKazooClient()\n")
    assert not apps.python("-m", "fk_kazoo", "run", "--url", "memory://m", "app.py", cwd=tmp_path).stderr
