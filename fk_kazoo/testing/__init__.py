"""``kazoo.testing`` under its second name: test cases for apps.

Rule upheld here: the classes are kazoo's own. kazoo 2.10 and later need ``pyjks`` and ``pyOpenSSL`` for this module,
here as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kazoo.testing import KazooTestCase, KazooTestHarness

from fk_kazoo._mirror import attributes

if not TYPE_CHECKING:
    __getattr__ = attributes(__name__)

__all__ = ("KazooTestHarness", "KazooTestCase")
