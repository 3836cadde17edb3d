"""Fixtures of the service's tests: a home of its own for each test, and programs and clients that end with the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from fk_kazoo.client import KazooClient

from .processes import Program


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where local:// keeps its deployments during a test."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FK_KAZOO_URL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def run() -> Iterator[Callable[..., Program]]:
    """Runs programs, which are killed when the test is over."""
    running: List[Program] = []

    def program(name: str, *arguments: object, **options: Any) -> Program:
        running.append(Program(name, *arguments, **options))
        return running[-1]

    yield program
    for started in running:
        started.kill()


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Makes clients, not started, that are stopped when the test is over."""
    made: List[Any] = []

    def client(url: str, **options: Any) -> Any:
        made.append(KazooClient(url, **options))
        return made[-1]

    yield client
    for client_ in made:
        client_.stop()
        client_.close()


@pytest.fixture
def connect(make: Callable[..., Any]) -> Callable[..., Any]:
    """Makes clients and connects them."""

    def client(url: str, **options: Any) -> Any:
        made = make(url, **options)
        made.start(timeout=30)
        return made

    return client
