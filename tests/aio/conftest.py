"""Fixtures of the tests of the client for asyncio."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where local:// keeps its deployments during a test."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FK_KAZOO_URL", raising=False)


@pytest.fixture
def memory_url() -> str:
    """A deployment of its own, in this process."""
    return "memory://aio%d-%d" % (os.getpid(), next(_numbers))


@pytest.fixture(params=["memory", "local"])
def url(request: pytest.FixtureRequest) -> str:
    """A deployment of its own, of each kind."""
    return "%s://aio%d-%d" % (request.param, os.getpid(), next(_numbers))
