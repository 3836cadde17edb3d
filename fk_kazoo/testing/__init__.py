"""For tests of an app's own, with nothing to start: kazoo's harness, and pytest fixtures (`fk_kazoo.pytest_plugin`).

Rule upheld here: the faults are real (see `faults`), the client is the shipped one, and nothing but kazoo is needed.
"""

from __future__ import annotations

from .harness import KazooTestCase, KazooTestHarness

__all__ = ("KazooTestHarness", "KazooTestCase")
