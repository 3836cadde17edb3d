"""Other people's clients through a gateway on local://, and on a real ZooKeeper: both tell them the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import pytest

from compat_tests.differential.__main__ import replay
from compat_tests.differential.corpus import CORPUS, for_deployment, load
from compat_tests.differential.runner import Server, keep_containers
from tests.differential.zookeeper_server import ZookeeperServer, unavailable

from .fetched import CLIENTS, DIRECTORY, aiozk, debian, java_path, need, npm, said

ZKCLI = "/usr/share/zookeeper/bin/zkCli.sh"
PATIENCE_S = 120.0
PROGRAMS = 40
CURATOR_NEEDS = """zookeeper zookeeper-jute slf4j-api slf4j-simple guava failureaccess snappy-java metrics-core
jackson-core jackson-databind jackson-annotations commons-io netty-*""".split()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Process(NamedTuple):
    """A gateway that runs."""

    hosts: str
    environ: Dict[str, str]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    environ = {**os.environ, "FK_KAZOO_HOME": str(tmp_path_factory.mktemp("home"))}
    command = [sys.executable, "-m", "fk_kazoo", "serve", "local://others", "--listen", "127.0.0.1:0", "--words", "*"]
    with subprocess.Popen(
        [*command, "--max-client-cnxns", "0"], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        yield Process("127.0.0.1:" + process.stdout.readline().strip().rpartition(":")[2], environ)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Optional[str]]:
    """Where a ZooKeeper runs; None where there is none."""
    if unavailable() is not None:
        yield None
        return
    with ZookeeperServer(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server.hosts


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


def test_aiozk(gateway: Process) -> None:
    """Its own tests, those that take a moment: all of them are in `test_their_own_tests`."""
    command, options = aiozk("test_client", "test_transaction", "test_counter")
    said(command, PATIENCE_S, **options(gateway.hosts))


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
def test_zkcli_makes_its_tour(gateway: Process) -> None:
    done = subprocess.run(
        [ZKCLI, "-server", gateway.hosts],
        input="\n".join([*TOUR, "quit", ""]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )
    output = done.stdout
    for line in (
        "Created /cli\n", "Created /cli-e-00000", "world", "dataLength = 5", "/cli/container", "/cli/ttl",
        "digest: u", "ip: 127.0.0.1", "'digest,'u:", "path:/cli/more", "zookeeper]",
    ):  # fmt: skip
        assert line in output, (line, output)
    for wrong in ("Exception", "KeeperErrorCode", "not valid", "Unable to"):
        assert wrong not in output, output
