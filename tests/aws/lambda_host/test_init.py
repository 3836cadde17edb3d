"""What a function needs is made in the init phase, and no request of it hangs for longer than the function lives."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from fk_backend.providers.aws.clients import Clients
from fk_backend.providers.aws.dev.resources import Account
from fk_backend.providers.aws.template_functions import FUNCTIONS, SOURCES

PROGRAM = """
from fk_backend.providers.aws import handlers
print("made", len(handlers._environment))
handlers.close()
"""


def _imported(**variables: str) -> str:
    environ = {**os.environ, "FK_DEPLOYMENT": "test", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", **variables}
    environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, stdout=subprocess.PIPE, text=True, timeout=100)
    assert done.returncode == 0
    return done.stdout.strip()


def test_the_first_invocation_finds_everything_made(aws_account: Account) -> None:
    assert _imported(**aws_account.environment) == "made 1"


def test_an_import_does_not_fail_with_what_it_prepares() -> None:
    """Nobody would be told: AWS starts the environment again and again, and what waits is a dead letter at last."""
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "1", "AWS_SECRET_ACCESS_KEY": "1"}
    assert _imported(**nowhere, **keys) == "made 0"


@pytest.mark.parametrize("which", SOURCES)
def test_requests_that_hang_are_tried_again_while_the_function_lives(which: str) -> None:
    async def check() -> None:
        clients = await Clients("us-east-1", of_function=True).open()
        for client in (clients.dynamodb, clients.once, clients.sqs, clients.s3):
            assert 3 * client.meta.config.read_timeout < FUNCTIONS[which][1]
        await clients.close()

    asyncio.run(check())
