"""``kazoo.handlers`` under its second name: concurrency handlers, each in its own module.

Rule upheld here: importing the package imports none of its modules, as in kazoo.

Imports: `_mirror`. Never: fk_backend, gevent, eventlet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fk_kazoo._mirror import attributes

if not TYPE_CHECKING:
    __getattr__ = attributes(__name__)
