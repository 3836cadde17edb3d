"""``kazoo.testing`` for deployments: test cases of an app's own, with nothing to start.

Rule upheld here: the faults are real (see `faults`), and everything else is kazoo's harness. kazoo 2.10 and later need
``pyjks`` and ``pyOpenSSL`` for it, here as there.
"""

from __future__ import annotations

from .harness import KazooTestCase, KazooTestHarness

__all__ = ("KazooTestHarness", "KazooTestCase")
