"""Other people's clients, fetched once by apt-get, npm and pip into ``.cache/gateway-clients``. Nothing is installed.

Rule upheld here: what can't be had skips its test, with the reason in the words of the tool that could not fetch it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import pytest

DIRECTORY = Path(__file__).resolve().parents[2] / ".cache/gateway-clients"
CLIENTS = Path(__file__).parent / "clients"
PATIENCE_S = 900.0


def need(*programs: str) -> None:
    """Skips where one of them is not installed."""
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        pytest.skip("%s is not installed" % ", ".join(missing))


def debian(*packages: str) -> Path:
    """The packages of Debian, unpacked: the root directory of their files."""
    need("apt-get", "dpkg-deb")
    root, archives = DIRECTORY / "debian", DIRECTORY / "debs"
    with _alone("debs"):
        missing = [each for each in packages if not (archives / each / "unpacked").exists()]
        if missing:
            shutil.rmtree(archives / "part", ignore_errors=True)
            (archives / "part").mkdir(parents=True)
            _fetch(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *missing], archives / "part")
        for package in missing:
            (archive,) = (archives / "part").glob(package + "_*.deb")
            _fetch(["dpkg-deb", "-x", str(archive), str(root)], archives)
            (archives / package).mkdir(exist_ok=True)
            (archives / package / "unpacked").touch()
            archive.unlink()
    return root


def with_what_it_needs(package: str) -> Path:
    """As `debian`, with everything that it depends on and that is not installed here."""
    need("apt-get", "dpkg-deb")
    planned = subprocess.run(
        ["apt-get", "-s", "install", "--no-install-recommends", package],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    if planned.returncode:
        pytest.skip("apt-get can't install %s here: %s" % (package, planned.stdout.strip()[-300:]))
    return debian(*(line.split()[1] for line in planned.stdout.splitlines() if line.startswith("Inst ")))


def npm(package: str) -> Path:
    """``node_modules`` with the package in it."""
    need("node", "npm")
    within = DIRECTORY / "npm" / package
    with _alone("npm"):
        if not (within / "done").exists():
            within.mkdir(parents=True, exist_ok=True)
            (within / "package.json").write_text('{"private": true}\n')
            _fetch(["npm", "install", "--no-audit", "--no-fund", "--silent", package], within)
            (within / "done").touch()
    return within / "node_modules"


def pip(*packages: str) -> Path:
    """A directory for PYTHONPATH with the packages in it."""
    within = DIRECTORY / "pip" / packages[0]
    with _alone("pip"):
        if not (within / "done").exists():
            install = ["install", "--upgrade", "--target", str(within)]
            _fetch([sys.executable, "-m", "pip", "-q", *install, *packages], Path.cwd())
            (within / "done").touch()
    return within


def sources(requirement: str) -> Path:
    """A source archive of PyPI's (``name==version``), unpacked and not built: building one copies its files thrice."""
    need("tar")
    name = requirement.replace("==", "-").replace("_", "-")
    root = DIRECTORY / "sources" / name
    if not root.exists():
        within = DIRECTORY / "sources" / (name + ".part")
        shutil.rmtree(within, ignore_errors=True)
        within.mkdir(parents=True)
        whole = ["--no-deps", "--no-binary", ":all:", "--no-cache-dir", "--dest", str(within)]
        _fetch([sys.executable, "-m", "pip", "-q", "download", *whole, requirement], within)
        (archive,) = within.glob("*.tar.gz")
        _fetch(["tar", "-xzf", str(archive)], within)
        archive.unlink()
        (unpacked,) = within.iterdir()
        unpacked.rename(root)
        within.rmdir()
    return root


def aiozk() -> Tuple[List[str], Callable[[str], Dict[str, Any]]]:
    """How aiozk's own tests are run: a command, and its options for where a server is."""
    path = str(pip("aiozk", "pytest", "pytest-asyncio", "pytest-timeout"))
    switches = ["-q", "-o", "asyncio_mode=auto", "--timeout=60", "-p", "no:cacheprovider", "--pyargs"]

    def at(hosts: str) -> Dict[str, Any]:
        host, _, port = hosts.rpartition(":")
        return {"cwd": DIRECTORY, "env": {**os.environ, "PYTHONPATH": path, "ZK_HOST": host, "ZK_PORT": port}}

    return [sys.executable, "-m", "pytest", *switches, "aiozk.test"], at


def said(command: Sequence[str], patience_s: float = PATIENCE_S, **options: Any) -> str:
    """What a client says when all went well. AssertionError with what it said if it did not."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=patience_s, **options
    )
    assert done.returncode == 0, "%s: exit code %d\n%s" % (command[0], done.returncode, done.stdout[-6000:])
    return str(done.stdout)


def java_path(*jars: str) -> List[str]:
    """Those of Debian's jars that are there, of the given names."""
    return [str(path) for name in jars for path in sorted(Path("/usr/share/java").glob(name + ".jar"))]


@contextlib.contextmanager
def _alone(tool: str) -> Iterator[None]:
    """No other process of this checkout fetches with the tool meanwhile."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with open(DIRECTORY / (tool + ".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(command: List[str], within: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=within, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        pytest.skip("%s did not fetch it in %d s" % (command[0], PATIENCE_S))
    if done.returncode:
        pytest.skip("%s can't fetch it here: %s" % (command[0], done.stdout.strip()[-300:]))
