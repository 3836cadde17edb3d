"""Large programs that need a ZooKeeper, through two gateways of which one is killed, and on a real ZooKeeper.

ClickHouse is 16 MB, and a part of ``make gateway``. The others are 570 MB, and behind ``make gateway-large``.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from tests.differential.zookeeper_server import ZookeeperServer, unavailable

from . import clickhouse, flink, spark
from .kills import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@contextlib.contextmanager
def two_gateways(home: Path) -> Iterator[List[Gateway]]:
    """In front of one new local:// deployment."""
    with contextlib.ExitStack() as stack:
        gateways = [Gateway({**os.environ, "FK_KAZOO_HOME": str(home)}) for _ in range(2)]
        for each in gateways:
            stack.callback(each.leave_nothing)
        yield gateways


def _killed(gateway: Gateway) -> Any:
    def happens() -> None:
        gateway.end(signal.SIGKILL)
        gateway.start()

    return happens


@pytest.fixture
def zookeeper(tmp_path: Path) -> Iterator[ZookeeperServer]:
    reason = unavailable()
    if reason is not None:
        pytest.skip(reason)
    (tmp_path / "zookeeper").mkdir()
    with ZookeeperServer(tmp_path / "zookeeper") as server:
        yield server


def test_clickhouse(tmp_path: Path, zookeeper: ZookeeperServer) -> None:
    """Two replicas. One gateway after the other is killed while they write; nothing is lost or done twice."""
    said = []
    (tmp_path / "theirs").mkdir()
    with clickhouse.two(tmp_path / "theirs", [zookeeper.port]) as replicas:
        said.append(clickhouse.tour(replicas, {}))
    (tmp_path / "ours").mkdir()
    with (
        two_gateways(tmp_path) as gateways,
        clickhouse.two(tmp_path / "ours", [each.port for each in gateways]) as replicas,
    ):
        kills = {"insert 3": _killed(gateways[0]), "insert 6": _killed(gateways[1])}
        said.append(clickhouse.tour(replicas, kills))
    assert said[0] == said[1]


def test_sparks_masters(tmp_path: Path, zookeeper: ZookeeperServer) -> None:
    """The leader is killed, and one gateway after the other before anybody leads again: an application goes on.

    (A leader that loses its connection ends by itself, whatever it was connected to.)
    """
    (tmp_path / "theirs").mkdir()
    said = [spark.tour(tmp_path / "theirs", [zookeeper.port], _nothing)]
    (tmp_path / "ours").mkdir()
    with two_gateways(tmp_path) as gateways:
        said.append(spark.tour(tmp_path / "ours", [each.port for each in gateways], _each_killed(gateways)))
    assert said[0] == said[1]


def test_flinks_job_managers(tmp_path: Path, zookeeper: ZookeeperServer) -> None:
    """One gateway after the other is killed under a leader, which stays; then it is killed, and they are once more."""
    (tmp_path / "theirs").mkdir()
    said = [flink.tour(tmp_path / "theirs", [zookeeper.port], _nothing, _nothing)]
    (tmp_path / "ours").mkdir()
    with two_gateways(tmp_path) as gateways:
        ports, kills = [each.port for each in gateways], _each_killed(gateways)
        said.append(flink.tour(tmp_path / "ours", ports, kills, kills))
    assert said[0] == said[1]


def _nothing() -> None:
    """What happens to a ZooKeeper that is alone."""


def _each_killed(gateways: List[Gateway]) -> Callable[[], None]:
    def happens() -> None:
        for each in gateways:
            _killed(each)()

    return happens
