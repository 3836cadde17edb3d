"""``kazoo.recipe`` under its second name: kazoo's recipes, each in its own module.

Rule upheld here: importing the package imports none of its modules, as in kazoo.

Imports: `_mirror`. Never: fk_backend, fk_kazoo.client, fk_kazoo.locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fk_kazoo._mirror import attributes

if not TYPE_CHECKING:
    __getattr__ = attributes(__name__)
