"""The emulator, and accounts in it: every test has one of its own.

Rule upheld here: nothing in these tests can reach AWS itself: the standard variables name the emulator.
"""

from __future__ import annotations

import sys
from typing import Iterator, List, NamedTuple

import pytest

from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.function import Invocation
from fk_backend.providers.aws.dev.host import Host, functions_of
from fk_backend.providers.aws.dev.resources import Account

DEPLOYMENT = "test"


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests of this process."""
    if sys.version_info < (3, 10):
        pytest.skip("the emulator needs Python 3.10")
    with Emulator() as emulator:
        yield emulator


@pytest.fixture()
def empty_account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account with nothing in it; the standard variables (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...) name it."""
    account = resources.new_account(emulator.url, DEPLOYMENT)
    for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(key, raising=False)
    for key, value in account.environment.items():
        monkeypatch.setenv(key, value)
    return account


@pytest.fixture()
def aws_account(empty_account: Account) -> Account:
    """An account with the tables, queues and bucket of the deployment ``test``, and no functions."""
    resources.create(empty_account)
    return empty_account


class Deployment(NamedTuple):
    """A whole deployment: its account, what runs its functions, and what was invoked so far, oldest first."""

    account: Account
    host: Host
    invocations: List[Invocation]

    @property
    def url(self) -> str:
        """For clients."""
        return self.account.url


@pytest.fixture()
def deployment(aws_account: Account) -> Iterator[Deployment]:
    """The deployment ``test`` with its functions, which run in threads of this process: quick to start and to call."""
    invocations: List[Invocation] = []
    with Host(aws_account, functions_of(aws_account), observe=invocations.append) as host:
        yield Deployment(aws_account, host, invocations)
