"""Other people's clients through a gateway on local://, and on a real ZooKeeper: both tell them the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, List, Optional

import pytest

from compat_tests.differential.__main__ import replay
from compat_tests.differential.corpus import CORPUS, for_deployment, load
from compat_tests.differential.runner import Server, keep_containers

from .conftest import Process
from .fetched import CLIENTS, DIRECTORY, debian, java_path, need, npm, said

ZKCLI = "/usr/share/zookeeper/bin/zkCli.sh"
PATIENCE_S = 240.0
PROGRAMS = 40
CURATOR_NEEDS = """zookeeper zookeeper-jute slf4j-api slf4j-simple guava failureaccess snappy-java metrics-core
jackson-core jackson-databind jackson-annotations commons-io netty-*""".split()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_recorded_programs_see_what_they_saw_of_zookeeper(gateway: Process) -> None:
    keep_containers()
    recorded = for_deployment("local://others", load(CORPUS))
    server = Server.zookeeper(gateway.hosts)
    try:
        found = list(replay(server, recorded[:: len(recorded) // PROGRAMS][:PROGRAMS], at_once=4))
    finally:
        server.close()
    assert found == []


def _same(gateway: Process, zookeeper: Optional[str], command: List[str], ends: str, **options: Any) -> None:
    """The client has made its whole tour through the gateway, and was told what ZooKeeper tells it."""
    printed = said([*command, gateway.hosts], PATIENCE_S, **options)
    assert printed.endswith(ends), printed
    if zookeeper is not None:
        assert printed == said([*command, zookeeper], PATIENCE_S, **options)


def test_the_c_client(gateway: Process, zookeeper: Optional[str]) -> None:
    need("gcc")
    root = debian("libzookeeper-mt2", "libzookeeper-mt-dev")
    (library,) = root.glob("usr/lib/*/libzookeeper_mt.so.2")
    program = str(DIRECTORY / "tour")
    build = ["gcc", "-DTHREADED", "-o", program, "-I%s/usr/include" % root, str(CLIENTS / "tour.c"), str(library)]
    said([*build, "-lpthread"])
    _same(gateway, zookeeper, [program], "delete: ok\n", env={**os.environ, "LD_LIBRARY_PATH": str(library.parent)})


def test_curator(gateway: Process, zookeeper: Optional[str]) -> None:
    need("java", "javac")
    packages = ["libcurator-%s-java" % part for part in ("client", "framework", "recipes")]
    theirs = sorted(map(str, debian(*packages).glob("usr/share/java/curator-*-*.jar")))
    path = [*theirs, *java_path(*CURATOR_NEEDS)]
    if not any(name.endswith("/zookeeper.jar") for name in path):
        pytest.skip("Debian's zookeeper is not installed")
    classes = str(DIRECTORY / "curator")
    said(["javac", "-nowarn", "-cp", ":".join(path), "-d", classes, str(CLIENTS / "Tour.java")])
    run = ["java", "-Xmx200m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    quiet = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", ":".join([classes, *path]), "Tour"]
    _same(gateway, zookeeper, [*run, *quiet], "names: [both, cache, counter, latch, leases, mutex, queue, rw]\n")


def test_node_zookeeper_client(gateway: Process, zookeeper: Optional[str]) -> None:
    modules = {**os.environ, "NODE_PATH": str(npm("node-zookeeper-client"))}
    _same(gateway, zookeeper, ["node", str(CLIENTS / "tour.js")], "[]\n", env=modules)


VARIES = r"^[cmp](Zxid|time) = |^Connecting to |^WATCHER|state:Closed"
"""Zxids, times, places, and the end of the session, which it may be too late to tell."""
TOUR: List[str] = [
    "create /cli hello",
    "create -s -e /cli-e- x",
    "create -c /cli/container c",
    "create -t 100000 /cli/ttl t",
    "set /cli world",
    "get -s /cli",
    "ls -R /cli",
    "getAllChildrenNumber /cli",
    "getEphemerals /",
    "addauth digest u:p",
    "whoami",
    "setAcl /cli auth:u:p:cdrwa",
    "getAcl /cli",
    "addWatch -m PERSISTENT_RECURSIVE /cli",
    "create /cli/more m",
    "removewatches /cli",
    "sync /",
    "config",
    "deleteall /cli",
    "ls /",
]


@pytest.mark.skipif(not shutil.which("java") or not Path(ZKCLI).exists(), reason="Debian's zookeeper is not installed")
def test_zkcli_makes_its_tour(gateway: Process, zookeeper: Optional[str]) -> None:
    printed = _zkcli_prints(gateway.hosts)
    for line in (
        "Created /cli", "world", "dataLength = 5", "/cli/container", "/cli/ttl",
        "digest: u", "ip: 127.0.0.1", "WatchedEvent state:SyncConnected type:NodeCreated path:/cli/more",
    ):  # fmt: skip
        assert line in printed, (line, printed)
    text = "\n".join(printed)
    for wrong in ("Exception", "KeeperErrorCode", "not valid", "Unable to"):
        assert wrong not in text, text
    assert zookeeper is None or printed == _zkcli_prints(zookeeper)


def _zkcli_prints(hosts: str) -> List[str]:
    """What it prints of its tour, below a path of its own, sorted: another thread prints the events."""
    done = subprocess.run(
        [ZKCLI, "-server", hosts + "/zkcli"],
        input="\n".join(["create /", *TOUR, "quit", ""]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )
    return sorted(line for line in done.stdout.splitlines() if line and not re.search(VARIES, line))
