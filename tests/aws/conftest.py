"""The emulator, and accounts in it: every test has one of its own.

Rule upheld here: nothing in these tests can reach AWS itself: the standard variables name the emulator.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import pytest

from compat_tests.on_aws import emulated
from fk_backend.providers.aws import names
from fk_backend.providers.aws.deploy import deploy
from fk_backend.providers.aws.dev import access, resources
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.function import Invocation
from fk_backend.providers.aws.dev.host import Host, functions_of, unpack
from fk_backend.providers.aws.dev.resources import Account
from fk_backend.providers.aws.package import HOST, build

DEPLOYMENT = "test"
QUICK = ("test_a_client_writes_reads_and_is_told", "test_writes", "test_reads")
"""Of the tests that need the emulator, those that are not left to the longer proofs."""


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """What needs the emulator takes longer."""
    for item in items:
        if "emulator" in getattr(item, "fixturenames", ()) and item.name not in QUICK:
            item.add_marker("slow")


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
    return _new_account(emulator, monkeypatch)


def _new_account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Account:
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
    with _running(aws_account) as made:
        yield made


@contextmanager
def deployed(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """The same for many tests, one after the other."""
    account = _new_account(emulator, monkeypatch)
    resources.create(account)
    with _running(account) as made:
        yield made


@contextmanager
def _running(account: Account) -> Iterator[Deployment]:
    invocations: List[Invocation] = []
    with Host(account, functions_of(account), observe=invocations.append) as host:
        yield Deployment(account, host, invocations)


@pytest.fixture(scope="session")
def _command() -> Iterator[Dict[str, str]]:
    if sys.version_info < (3, 10):
        pytest.skip("the emulator needs Python 3.10")
    with emulated() as variables:
        yield variables


@pytest.fixture()
def emulated_url(_command: Dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a deployment as ``python -m compat_tests.on_aws`` makes it, for what has to be on none of its own.

    The standard variables have a client's credentials.
    """
    for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(key, raising=False)
    for key, value in _command.items():
        monkeypatch.setenv(key, value)
    return _command["FK_KAZOO_URL"]


class Packaged(NamedTuple):
    """A deployment with permissions enforced; the standard variables have a client's credentials."""

    account: Account
    host: Host
    invocations: List[Invocation]
    lines: List[str]

    def check(self) -> None:
        """Nothing failed, and nothing was denied, also where a function can live with it."""
        assert [one for one in self.lines if "AccessDenied" in one or "Traceback" in one] == []
        writing = [one for one in self.invocations if not one.function.endswith(names.HEARTBEAT)]
        assert [one for one in writing if (one.result or {}).get("batchItemFailures")] == []
        assert [one for one in self.invocations if one.error] == []
        assert [one for one in self.host.functions.values() if one.dropped] == []

    def called(self, which: str) -> int:
        """How often a function was invoked."""
        return sum(one.function == names.function(self.account.name, which) for one in self.invocations)


@pytest.fixture(scope="session")
def enforcing(emulator: Emulator) -> Iterator[Emulator]:
    """An emulator that enforces permissions. The other one is for the reasons that it may be skipped for."""
    with Emulator(environment=access.ENFORCING) as made:
        yield made


@pytest.fixture(scope="session")
def package() -> Iterator[Path]:
    """The zip for this machine, and what is in it, unpacked once."""
    place = unpack(build(target=HOST).path)
    yield place
    shutil.rmtree(place.parent)


@pytest.fixture()
def packaged(enforcing: Emulator, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packaged]:
    account = resources.new_account(enforcing.url, "test")
    zipped = tmp_path / "package.zip"  # what is deployed is not read by anybody here: the host has it unpacked
    zipped.write_bytes(b"unpacked")
    deploy(
        account.name,
        account.session(),
        package=zipped,
        region=account.region,
        endpoint_url=account.endpoint_url,
        parameters={"Mappings": "Disabled"},
    )
    client: Dict[str, str] = {**account.environment, **access.of_client(account, access.client_policy(account))}
    for key, value in client.items():
        monkeypatch.setenv(key, value)
    invocations: List[Invocation] = []
    lines: List[str] = []
    host = Host(
        account,
        functions_of(account),
        package,
        observe=invocations.append,
        log=lambda function, line: lines.append(line),
        trouble=lines.append,
        roles=True,
    )
    with host:
        yield Packaged(account, host, invocations, lines)
