"""The zip that is deployed, run as Lambda runs it: in an interpreter that has nothing else, with each function's own
permissions.

The emulator enforces what the roles and the clients' policy allow, so that a permission that is missing shows here.
"""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import pytest

from fk_backend.providers.aws import names
from fk_backend.providers.aws.deploy import deploy
from fk_backend.providers.aws.dev import access, resources
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.function import Invocation
from fk_backend.providers.aws.dev.host import Host, functions_of, unpack
from fk_backend.providers.aws.dev.resources import Account
from fk_backend.providers.aws.package import HOST, build
from fk_kazoo.client import KazooClient


class Packaged(NamedTuple):
    """A deployment with permissions enforced; the standard variables have a client's credentials."""

    account: Account
    host: Host
    invocations: List[Invocation]
    lines: List[str]

    def check(self) -> None:
        """Nothing failed, and nothing was denied, also where a function can live with it."""
        assert [one for one in self.lines if "AccessDenied" in one or "Traceback" in one] == []
        assert [one for one in self.invocations if one.error or (one.result or {}).get("batchItemFailures")] == []

    def called(self, which: str) -> int:
        """How often a function was invoked."""
        return sum(one.function == names.function(self.account.name, which) for one in self.invocations)


@pytest.fixture(scope="module")
def enforcing(emulator: Emulator) -> Iterator[Emulator]:
    """An emulator that enforces permissions. The other one is for the reasons that it may be skipped for."""
    with Emulator(environment=access.ENFORCING) as made:
        yield made


@pytest.fixture(scope="module")
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


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_a_client_with_the_clients_policy(packaged: Packaged) -> None:
    """Writes, reads, watches, ephemerals and the heartbeat that they need, data in the bucket, and the sweep."""
    told = threading.Event()
    zk = KazooClient(packaged.account.url)
    zk.start(timeout=60)
    try:
        zk.create("/a", b"1", ephemeral=True)
        assert zk.get("/a", watch=lambda event: told.set())[0] == b"1"
        zk.set("/a", b"2")
        assert told.wait(60)
        zk.create("/large", b"x" * 900_000)
        zk.set("/large", b"y" * 900_000)
        assert zk.get("/large")[0] == b"y" * 900_000
        zk.delete("/large")
        with zk.Lock("/lock"):
            zk.ensure_path("/b/c")
        assert zk.transaction().commit() == []
        _until(lambda: packaged.called(names.HEARTBEAT) >= 2)
        packaged.host.invoke(names.function("test", names.SWEEPER), {})
        assert zk.exists("/a") is not None
    finally:
        zk.stop()
        zk.close()
    packaged.check()
