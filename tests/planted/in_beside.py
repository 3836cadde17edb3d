"""Mistakes with the writer beside a host: what it looks at before it commits, and who tells what it wrote."""

from __future__ import annotations

from functools import partial
from typing import List

from fk_backend.functions import writer
from fk_backend.testing.simulation import beside

from . import edited

W, B = writer.Writer, beside.BesideStore
NAMES: List[str] = []
"""Of the bugs here: they are looked for in worlds in which somebody writes beside a host."""


edit = partial(edited.edit, NAMES)

edit(
    "word looked at before",
    "what the host begins with after the write was begun is overlooked",
    B, "_may", "if not self._deployment.is_free():", "if False:",
)  # fmt: skip
edit(
    "told too early",
    "a write beside the host is taken for told before anybody has looked who watches",
    W, "_written", "trail.done(", "self._told.note(ns, step.head.zxid)\n    trail.done(",
)  # fmt: skip
edit(
    "beside answered first",
    "a write beside the host is answered although its commit failed",
    W, "_write_directly", "await self._commit(step.writes, None)",
    "try:\n            await self._commit(step.writes, None)\n        except BackendError:\n            pass",
)  # fmt: skip
edit(
    "stale answers",
    "what fails is answered by a head that need not be the last one",
    W, "_write_directly", "await self._confirm(ns, warm)", "pass",
)  # fmt: skip
