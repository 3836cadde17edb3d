"""Fixtures of the client's tests: deployments of their own, clients and processes that end with the test."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from tests.client.programs.support import CableClient, Program, within

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where local:// keeps its deployments during a test."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FK_KAZOO_URL", raising=False)
    return tmp_path / "home"


def _name() -> str:
    return "t%d-%d" % (os.getpid(), next(_numbers))


@pytest.fixture(params=["memory", "local"])
def url(request: pytest.FixtureRequest) -> str:
    """A deployment of its own for each test, of each kind."""
    return "%s://%s" % (request.param, _name())


@pytest.fixture
def memory_url() -> str:
    """A deployment in this process."""
    return "memory://" + _name()


@pytest.fixture
def local_url() -> str:
    """A deployment that other processes can use."""
    return "local://" + _name()


@pytest.fixture
def make() -> Iterator[Callable[..., CableClient]]:
    """Makes clients, not started, that are stopped when the test is over."""
    made: List[CableClient] = []

    def client(url: str, **options: Any) -> CableClient:
        made.append(CableClient(url, **options))
        return made[-1]

    yield client
    for client_ in made:
        client_.client_link.mend()
        client_.state_listeners.clear()
        within(20, client_.stop)
        within(5, client_.close)


@pytest.fixture
def connect(make: Callable[..., CableClient]) -> Callable[..., CableClient]:
    """Makes clients and connects them."""

    def client(url: str, **options: Any) -> CableClient:
        made = make(url, **options)
        made.start()
        return made

    return client


@pytest.fixture
def run() -> Iterator[Callable[..., Program]]:
    """Runs helper programs, which are killed when the test is over."""
    running: List[Program] = []

    def program(name: str, *arguments: object) -> Program:
        running.append(Program(name, *arguments))
        return running[-1]

    yield program
    for started in running:
        started.clean_up()
