"""Whole clients side by side: kazoo's on ZooKeeper 3.8 and ours on deployments see the same, whatever they do.

FK_DIFFERENTIAL_EXAMPLES sets how many programs there are, FK_DIFFERENTIAL_URLS (space-separated) the deployments.
"""

from __future__ import annotations

import json
import os
from typing import Iterator, List, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings

from compat_tests.differential.compare import differences
from compat_tests.differential.runner import Program, Server

from .client_programs import programs
from .zookeeper_server import ZookeeperServer, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

URLS = os.environ.get("FK_DIFFERENTIAL_URLS", "memory://differential local://differential").split()


class Sides(NamedTuple):
    """The reference, and what is compared with it."""

    real: Server
    ours: List[Server]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """One of each for all of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FK_KAZOO_HOME", str(tmp_path_factory.mktemp("home")))
        with ZookeeperServer(tmp_path_factory.mktemp("zookeeper")) as server:
            made = Sides(Server.zookeeper(server.hosts), [Server.deployment(url) for url in URLS])
            yield made
            for each in [made.real, *made.ours]:
                each.close()


@pytest.mark.timeout(36000)  # for as many programs as one asks for
@settings(
    max_examples=int(os.environ.get("FK_DIFFERENTIAL_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(program=programs)
def test_random_programs_of_several_sessions_see_the_same(sides: Sides, program: Program) -> None:
    """Results, exceptions, Stats, events and their order, states, and what is there at the end."""
    real = sides.real.run(program)
    for url, ours in zip(URLS, sides.ours):
        found = differences(real, ours.run(program))
        assert not found, "%s\n%s\n%s" % (url, json.dumps(program), "\n".join(found))
