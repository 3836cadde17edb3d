"""For the tests of an app, with nothing to start: a test kit, and kazoo's harness on a deployment.

    kit       a deployment of a test's own, clients, faults; `fk_kazoo.pytest_plugin` makes fixtures of it
    faults, aio_faults, clock, recorder   what the kit offers
    harness   kazoo's test cases (`KazooTestCase`); cluster and routed: the "servers" that they stop

Rule upheld here: the faults are real, the client is the shipped one, and nothing but kazoo is needed.

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
