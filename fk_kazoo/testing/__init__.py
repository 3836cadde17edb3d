"""``kazoo.testing`` for deployments: test cases of an app's own, with nothing to start.

Rule upheld here: the faults are real (see `faults`), and everything else is kazoo's harness. kazoo 2.10 and later need
``pyjks`` and ``pyOpenSSL`` for it, here as there; the faults alone need neither, so it is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .harness import KazooTestCase, KazooTestHarness

__all__ = ("KazooTestHarness", "KazooTestCase")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    from . import harness

    return getattr(harness, name)
