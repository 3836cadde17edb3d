"""The functions' zip: our backend, and aiobotocore with what it needs, for Lambda's processor and Python.

Rule upheld here: the same source gives the same bytes. Dependencies are pinned with their hashes (``lambda.lock``),
names are sorted, times and modes are fixed, and nothing that pip or the machine writes is taken along.

The bytes also depend on the zlib that packs them; Python's own has not changed its output in years. And on the Python
that compiles them: where there is none of Lambda's version, sources go alone, and each new environment compiles them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import fk_backend

from ...errors import DeploymentError
from .dev import venvs

LOCK = Path(__file__).with_name("lambda.lock")
LAMBDA, HOST = "lambda", "host"
LAMBDA_PYTHON = (3, 13)
WHEEL_PLATFORM = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
"""What Lambda's Amazon Linux 2023 on arm64 can load, the best first."""

NOT_OURS = ("testing", "providers/memory", "providers/local", "providers/aws/dev")
NOT_FOR_FUNCTIONS = ("cloud", "deploy", "destroy", "package", "policies", "stacks", "status")
"""Modules of this package that deployment needs and functions do not; and all that begin with ``template``."""
SERVICES = ("dynamodb", "s3", "sqs", "sts")
"""The services that botocore keeps its descriptions of."""
_DROPPED = re.compile(
    r"""
    bin/.* | .*/(tests?|__pycache__|examples)/.* | .*/py\.typed
    | .*\.(py[cdioxw]|px[di]|c|h|hash|pth)                                  # caches, types, sources of what is compiled
    | [^/]*\.dist-info/(?!METADATA|licenses/|LICEN[CS]E|NOTICE).*          # what pip writes
    | .*/examples-1\.json.* | multidict/_testcapi.* | dateutil/zoneinfo/.*\.tar\.gz
    | aiohttp/_websocket/.*\.so                                    # there is the same in Python, and no use for it
    """,
    re.VERBOSE,
)
"""Of the dependencies, what no function needs."""
_SERVICE = re.compile(r"^botocore/data/([^/]+)/")


class Built(NamedTuple):
    """A package. Sizes in bytes."""

    path: Path
    sha256: str
    size: int
    unpacked: int
    compiled: bool
    """Whether Lambda need not compile what is in it."""


def build(path: Optional[Path] = None, target: str = LAMBDA, cache: Optional[Path] = None) -> Built:
    """Makes the zip, in ``path`` or in ``cache`` (default: the user's).

    ``target``: LAMBDA, or HOST for this interpreter and machine. DeploymentError if the dependencies can't be got.
    """
    cache = cache or venvs.cache() / "package"
    files = {**_dependencies(target, cache), **_sources(Path(fk_backend.__file__).parent)}
    contents = {name: file.read_bytes() for name, file in files.items()}
    compiled = _compiled(contents, target)
    contents.update(compiled)
    path = path or cache / ("%s.zip" % target)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=".package-")
    os.close(handle)
    try:
        unpacked = _write(Path(made), contents)
        os.chmod(made, 0o644)
        os.replace(made, path)
    except BaseException:
        os.unlink(made)
        raise
    return Built(path, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, unpacked, bool(compiled))


def _write(path: Path, files: Dict[str, bytes]) -> int:
    total = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, files[name], compresslevel=9)
            total += len(files[name])
    return total


# --- what is compiled -----------------------------------------------------------------------------

_COMPILE = """
import py_compile, sys
root, tag = sys.argv[1], sys.implementation.cache_tag
for name in sys.stdin.read().split("\\n"):
    source = root + "/" + name
    py_compile.compile(
        source, source + "c", name, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
print(tag)
"""
"""Where nobody is asked whether the source is another one: in a package it can't be."""
_SOLE = {"PYTHONHASHSEED": "0", "PATH": os.defpath}


def _compiled(sources: Dict[str, bytes], target: str) -> Dict[str, bytes]:
    """The modules' bytecode by its names in the zip; none where there is no Python of the target's version.

    By an interpreter of its own, with a fixed order of hashes and of modules: so the same bytes come of it.
    """
    python = _python_of(target)
    if python is None:
        return {}
    modules = sorted(name for name in sources if name.endswith(".py"))
    with tempfile.TemporaryDirectory() as scratch:
        for name in modules:
            (Path(scratch) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(scratch) / name).write_bytes(sources[name])
        done = subprocess.run(
            [python, "-S", "-c", _COMPILE, scratch],
            input="\n".join(modules),
            stdout=subprocess.PIPE,
            env=_SOLE,
            text=True,
            check=True,
        )
        tag = done.stdout.strip()
        found = {}
        for name in modules:
            inside, _, module = name.rpartition("/")
            held = "%s__pycache__/%s.%s.pyc" % (inside + "/" if inside else "", module[: -len(".py")], tag)
            found[held] = (Path(scratch) / (name + "c")).read_bytes()
    return found


def _python_of(target: str) -> Optional[str]:
    if target == HOST or sys.version_info[:2] == LAMBDA_PYTHON:
        return sys.executable
    found = shutil.which("python%d.%d" % LAMBDA_PYTHON)
    if found is None or subprocess.run([found, "-S", "-c", ""], env=_SOLE, stderr=subprocess.DEVNULL).returncode:
        return None  # a name that a version manager keeps for what is not installed does not run
    return found


# --- what goes in ---------------------------------------------------------------------------------


def _sources(root: Path) -> Dict[str, Path]:
    """Our own modules, by their names in the zip."""
    found = {}
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        inside, _, module = name.rpartition("/")
        if any(inside == one or inside.startswith(one + "/") for one in NOT_OURS):
            continue
        module = module[: -len(".py")]
        if inside == "providers/aws" and (module in NOT_FOR_FUNCTIONS or module.startswith("template")):
            continue
        found["fk_backend/" + name] = path
    return found


def _needed(name: str) -> bool:
    service = _SERVICE.match(name)
    return not _DROPPED.fullmatch(name) and (service is None or service[1] in SERVICES)


def _dependencies(target: str, cache: Path) -> Dict[str, Path]:
    """The files of everything in the lock, installed once for each lock and target."""
    wanted = "%s %s" % (target, "" if target == LAMBDA else (sys.version, platform.machine(), platform.libc_ver()))
    mark = hashlib.sha256(wanted.encode() + LOCK.read_bytes()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / ("%s-%s" % (target, mark))
    with open(cache / (place.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            unfinished = Path(tempfile.mkdtemp(dir=cache, prefix=".unfinished-"))
            try:
                _install(target, unfinished)
                unfinished.rename(place)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    names = ((path.relative_to(place).as_posix(), path) for path in place.rglob("*") if path.is_file())
    return {name: path for name, path in names if _needed(name)}


def _install(target: str, place: Path) -> None:
    version = LAMBDA_PYTHON if target == LAMBDA else sys.version_info[:2]
    options: List[str] = []
    if target == LAMBDA:
        options = ["--python-version", "%d.%d" % version, "--implementation", "cp"]
        options.extend(word for one in WHEEL_PLATFORM for word in ("--platform", one))
    with tempfile.TemporaryDirectory() as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text("".join(pinned(LOCK.read_text(), version)))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        command += ["--no-deps", "--no-compile", "--only-binary=:all:", "--require-hashes", "--target", str(place)]
        done = subprocess.run(
            [*command, *options, "--requirement", str(requirements)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode:
        raise DeploymentError("the functions' dependencies can't be installed: %s" % done.stdout.strip()[-2000:])


_ENTRY = re.compile(r"^(\S+==\S+)(?: ; python_full_version (<|>=) '3\.(\d+)')?( \\\n(?: .*\n?)+)", re.MULTILINE)


def pinned(lock: str, version: Tuple[int, int]) -> Iterator[str]:
    """The entries of the lock for a version of Python. pip itself would ask the version that it runs in."""
    for entry, compare, minor, hashes in _ENTRY.findall(lock):
        if not compare or (version[1] < int(minor)) == (compare == "<"):
            yield entry + hashes
