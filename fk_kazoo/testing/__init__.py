"""For tests of an app's own, with nothing to start: kazoo's harness, and pytest fixtures (`fk_kazoo.pytest_plugin`).

Rule upheld here: the faults are real (see `faults`), the client is the shipped one, and nothing but kazoo is needed.

Imports: the client, the memory provider. Never: fk_kazoo.cli, fk_kazoo.gateway, pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .harness import KazooTestCase, KazooTestHarness
else:

    def __getattr__(name: str) -> Any:
        """The harness when it is asked for: the fixtures need neither it nor unittest."""
        if name in __all__:
            from . import harness

            return getattr(harness, name)
        raise AttributeError("module %r has no attribute %r" % (__name__, name))


__all__ = ("KazooTestHarness", "KazooTestCase")
