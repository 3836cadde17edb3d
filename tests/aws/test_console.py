"""What a page shows and changes is the same where a deployment on AWS, emulated, is behind it."""

from __future__ import annotations

import pytest

from fk_kazoo.cli.target import Target
from tests.console import conftest as consoles
from tests.console import test_server

from .conftest import Deployment

client = consoles.client
console = consoles.console
writable = consoles.writable


@pytest.fixture
def target(deployment: Deployment) -> Target:
    """Where the console looks."""
    return Target(deployment.url, timeout_s=60)


test_what_is_shown = test_server.test_what_is_shown
test_an_edit_checks_the_version = test_server.test_an_edit_checks_the_version
test_children_are_paged = test_server.test_children_are_paged
test_changes_are_pushed = test_server.test_changes_are_pushed
