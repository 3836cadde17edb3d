"""What ZooKeeper 3.8 was seen to do is what `aws://` does, packaged functions and all: a slice of what was recorded.

All of it: ``python -m compat_tests.on_aws python -m compat_tests.differential --url '{url}'``.
"""

from __future__ import annotations

import pytest

from compat_tests.differential.__main__ import replay
from compat_tests.differential.corpus import for_deployment, load
from compat_tests.differential.runner import Server

PROGRAMS = 30
AT_ONCE = 4

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning:kazoo")]


@pytest.mark.timeout(600)
def test_a_deployment_on_aws_does_what_zookeeper_was_seen_to_do(emulated_url: str) -> None:
    recorded = for_deployment(emulated_url, load())
    recorded = recorded[:: len(recorded) // PROGRAMS][:PROGRAMS]
    assert len(recorded) == PROGRAMS
    server = Server.deployment(emulated_url)
    try:
        different = list(replay(server, recorded, AT_ONCE))
    finally:
        server.close()
    assert not different, "\n".join(map(str, different[:3]))
