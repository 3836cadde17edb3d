"""Other people's clients through a gateway on local://: Debian's zkCli.sh, and kazoo with recorded programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import pytest

from compat_tests.differential.__main__ import replay
from compat_tests.differential.corpus import CORPUS, for_deployment, load
from compat_tests.differential.runner import Server, keep_containers

ZKCLI = "/usr/share/zookeeper/bin/zkCli.sh"
PATIENCE_S = 120.0
PROGRAMS = 40


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


def test_recorded_programs_see_what_they_saw_of_zookeeper(gateway: Process) -> None:
    keep_containers()
    recorded = for_deployment("local://others", load(CORPUS))
    server = Server.zookeeper(gateway.hosts)
    try:
        found = list(replay(server, recorded[:: len(recorded) // PROGRAMS][:PROGRAMS], at_once=4))
    finally:
        server.close()
    assert found == []


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

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
    said = done.stdout
    for told in (
        "Created /cli\n", "Created /cli-e-00000", "world", "dataLength = 5", "/cli/container", "/cli/ttl",
        "digest: u", "ip: 127.0.0.1", "'digest,'u:", "path:/cli/more", "zookeeper]",
    ):  # fmt: skip
        assert told in said, (told, said)
    for wrong in ("Exception", "KeeperErrorCode", "not valid", "Unable to"):
        assert wrong not in said, said
