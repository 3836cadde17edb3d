"""``kazoo.protocol`` under its second name: the vocabulary of ZooKeeper's protocol.

Rule upheld here: importing the package imports none of its modules, as in kazoo.

Imports: `_mirror`. Never: fk_backend, fk_kazoo.client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fk_kazoo._mirror import attributes

if not TYPE_CHECKING:
    __getattr__ = attributes(__name__)
