"""A gateway on local:// and a ZooKeeper, which the tests of other people's clients share."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Dict, Iterator, NamedTuple, Optional

import pytest

from tests.differential.zookeeper_server import ZookeeperServer, unavailable

STOP_TIMEOUT_S = 120.0


class Process(NamedTuple):
    """A gateway that runs."""

    hosts: str
    environ: Dict[str, str]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    environ = {**os.environ, "FK_KAZOO_HOME": str(tmp_path_factory.mktemp("home"))}
    command = [sys.executable, "-m", "fk_kazoo", "serve", "local://others", "--listen", "127.0.0.1:0", "--words", "*"]
    with subprocess.Popen(
        [*command, "--max-client-cnxns", "0"], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        yield Process("127.0.0.1:" + process.stdout.readline().strip().rpartition(":")[2], environ)
        process.terminate()
        assert process.wait(STOP_TIMEOUT_S) == 0


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Optional[str]]:
    """Where a ZooKeeper runs; None where there is none."""
    if unavailable() is not None:
        yield None
        return
    with ZookeeperServer(tmp_path_factory.mktemp("zookeeper")) as server:
        yield server.hosts
