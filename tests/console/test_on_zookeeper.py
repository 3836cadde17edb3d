"""What a page shows and changes is the same where a real ZooKeeper is behind it."""

from __future__ import annotations

import pytest

from fk_kazoo.cli.target import Target
from tests.cli import conftest as commands

from . import test_server

zookeeper_server = commands.zookeeper_server
zookeeper = commands.zookeeper


@pytest.fixture
def target(zookeeper: str) -> Target:
    """Where the console looks."""
    return Target(zookeeper, timeout_s=30)


test_what_is_shown = test_server.test_what_is_shown
test_an_edit_checks_the_version = test_server.test_an_edit_checks_the_version
test_children_are_paged = test_server.test_children_are_paged
test_changes_are_pushed = test_server.test_changes_are_pushed
