"""The console of a deployment with something in it, in a thread of this process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from fk_kazoo.cli.target import Target
from fk_kazoo.console.server import Console

URL = "local://app"


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Where the console looks."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    return Target(URL, timeout_s=30)


@pytest.fixture
def client(target: Target) -> Iterator[Any]:
    """Somebody else, who changes things."""
    with target.client(make=True) as one:
        one.create("/app", b"")
        one.create("/app/config", b'{"debug": true}')
        yield one


def serving(target: Target, write: bool) -> Iterator[Console]:
    """A console until the end."""
    with target.client() as own:
        console = Console(target, own, 0, write)
        thread = threading.Thread(target=console.serve)
        thread.start()
        try:
            yield console
        finally:
            console.end()
            thread.join(30)
            assert not thread.is_alive(), "it did not end"


@pytest.fixture
def console(target: Target, client: Any) -> Iterator[Console]:
    """Read-only."""
    yield from serving(target, False)


@pytest.fixture
def writable(target: Target, client: Any) -> Iterator[Console]:
    """With --write."""
    yield from serving(target, True)
