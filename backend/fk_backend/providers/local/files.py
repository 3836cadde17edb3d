"""TEMP stub (replaced by the real one)."""
from __future__ import annotations

import contextlib
import os
from typing import Any, Iterator


class Place:
    def __init__(self, d: str) -> None:
        self.directory = d; self.state = d + "/state.db"; self.interest = d + "/interest.db"; self.outbox = d + "/outbox.db"; self.lock = d + "/host.lock"; self.socket = d + "/host.sock"
    @contextlib.contextmanager
    def reachable_socket(self) -> Iterator[str]:
        yield self.socket
def prepare(name: str) -> Place:
    d = os.path.join(os.environ.get("FK_KAZOO_HOME", os.path.expanduser("~/.fk_kazoo")), name); os.makedirs(d, 0o700, exist_ok=True); return Place(d)
def super_id(place: Place) -> Any: return None
def directory(name: str) -> str:
    return os.path.realpath(os.path.join(os.environ.get("FK_KAZOO_HOME", os.path.expanduser("~/.fk_kazoo")), name))
