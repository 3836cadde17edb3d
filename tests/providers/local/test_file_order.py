"""What is written, synced and renamed in which order, call by call: what a power cut leaves is the old or the new.

Recorded in this process, so that it needs no tracer; `test_disk_order` has the kernel's view of a whole host.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from fk_backend.providers.local import database, files

Step = Tuple[str, ...]


class Recorder:
    """The calls that matter, in order, by the names that files have at the time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: List[Step] = []
        self._names: Dict[int, str] = {}
        self._real = {name: getattr(os, name) for name in ("open", "fsync", "pwrite", "rename")}
        for name in self._real:
            patch.setattr(os, name, getattr(self, name))
        create = database.create

        def made(path: str, tables: Any) -> None:
            create(path, tables)
            self.steps.append(("database", _short(path)))

        patch.setattr(database, "create", made)

    def open(self, path: Any, flags: int, *more: Any, **options: Any) -> int:
        """As `os.open`."""
        descriptor: int = self._real["open"](path, flags, *more, **options)
        self._names[descriptor] = _short(path)
        if flags & (os.O_CREAT | os.O_TRUNC):
            self.steps.append(("open anew" if flags & os.O_EXCL else "open over", _short(path)))
        return descriptor

    def fsync(self, descriptor: int) -> None:
        """As `os.fsync`."""
        self._real["fsync"](descriptor)
        self.steps.append(("sync", self._names[descriptor]))

    def pwrite(self, descriptor: int, content: Any, at: int) -> int:
        """As `os.pwrite`."""
        self.steps.append(("write", self._names[descriptor]))
        return int(self._real["pwrite"](descriptor, content, at))

    def rename(self, old: str, new: str) -> None:
        """As `os.rename`."""
        self._real["rename"](old, new)
        self.steps.append(("rename", _short(old), _short(new)))


def _short(path: Any) -> str:
    name = os.path.basename(str(path))
    return "new" if name.startswith(".new-") else name


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """From the beginning of the test."""
    with monkeypatch.context() as patch:
        yield Recorder(patch)


def test_a_deployment_gets_its_name_last(home: Path, recorder: Recorder) -> None:
    """And then has it on the disk: whoever is answered afterwards finds it there after a power cut."""
    files.prepare("d")
    assert recorder.steps == [
        ("database", "state.db"),
        ("database", "interest.db"),
        ("sync", "new"),
        ("rename", "new", "d"),
        ("sync", home.name),
    ]
