"""Our requests, as another implementation of AWS understands them: moto, written by others, from the same documents.

One client at a time: it runs each request by itself. Elsewhere all is seen through one emulator's eyes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Iterator

import pytest

from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.resources import Account
from fk_backend.testing.store_checks import StoreChecks

from .provider.test_store import OnDynamo

NUMBER = "123456789012"
"""The account of whoever asks moto."""
START_S = 120.0


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("moto.server", reason="pip install moto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place: Path = tmp_path_factory.mktemp("moto")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with open(place / "log", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        url, deadline = "http://127.0.0.1:%d" % port, time.monotonic() + START_S
        try:
            while not _answers(url):
                assert server.poll() is None and time.monotonic() < deadline, (place / "log").read_text()
                time.sleep(0.1)
            yield url
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/moto-api/", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def account(moto: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    urllib.request.urlopen(urllib.request.Request(moto + "/moto-api/reset", method="POST"), timeout=30).close()
    made = Account("test", NUMBER, moto)
    for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(key, raising=False)
    for key, value in made.environment.items():
        monkeypatch.setitem(os.environ, key, value)
    resources.create(made)
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("account")
class TestStore(OnDynamo, StoreChecks):
    """Tables, conditions, transactions, queries."""

    concurrency = 1
    test_get_of_many_keys_in_many_partitions = test_purge_removes_what_an_owner_put = None
    """moto refuses more than 25 items in a TransactGetItems; DynamoDB API Reference, TransactGetItems: up to 100."""
    test_get_is_one_snapshot = None
    """It reads and writes at the same time, and moto's transactions are not isolated from each other."""
