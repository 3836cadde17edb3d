"""What ZooKeeper 3.8 was seen to do is what functions and store of `aws://` do: a slice of what was recorded."""

from __future__ import annotations

import logging
from typing import Iterator

import pytest

from compat_tests.differential.__main__ import replay
from compat_tests.differential.corpus import load
from compat_tests.differential.runner import Server

from ..conftest import Deployment

PROGRAMS = 60
AT_ONCE = 4

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:kazoo")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No log of the connections that programs break on purpose."""
    logger = logging.getLogger("kazoo")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_deployment_on_aws_does_what_zookeeper_was_seen_to_do(deployment: Deployment) -> None:
    recorded = load()
    recorded = recorded[:: len(recorded) // PROGRAMS][:PROGRAMS]
    assert len(recorded) == PROGRAMS
    server = Server.deployment(deployment.url)
    different = list(replay(server, recorded, AT_ONCE))
    server.close()
    assert not different, "\n".join(map(str, different[:3]))
