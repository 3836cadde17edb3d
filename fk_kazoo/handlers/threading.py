"""``kazoo.handlers.threading`` under its second name: the handler for threads.

Rule upheld here: it is the very same module (see ``fk_kazoo._mirror``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fk_kazoo._mirror import mirror

if TYPE_CHECKING:
    from kazoo.handlers.threading import *  # noqa: F403 (the types are kazoo-stubs', in fk_kazoo/stubs)
else:
    mirror(__name__)
