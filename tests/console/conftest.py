"""The console of a deployment with something in it, in a thread of this process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from fk_kazoo.cli.place import Place
from fk_kazoo.console.server import Console

URL = "local://app"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Where the console looks."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    return Place(URL, timeout_s=30)


@pytest.fixture
def client(place: Place) -> Iterator[Any]:
    """Somebody else, who changes things."""
    with place.client(make=True) as one:
        one.create("/app", b"")
        one.create("/app/config", b'{"debug": true}')
        yield one


def serving(place: Place, write: bool) -> Iterator[Console]:
    """A console until the end."""
    with place.client() as own:
        console = Console(place, own, 0, write)
        thread = threading.Thread(target=console.serve)
        thread.start()
        try:
            yield console
        finally:
            console.end()
            thread.join(30)
            assert not thread.is_alive(), "it did not end"


@pytest.fixture
def console(place: Place, client: Any) -> Iterator[Console]:
    """Read-only."""
    yield from serving(place, False)


@pytest.fixture
def writable(place: Place, client: Any) -> Iterator[Console]:
    """With --write."""
    yield from serving(place, True)
