"""``kazoo.version`` under its second name: the release of kazoo that is installed.

Rule upheld here: it is the very same module (see ``fk_kazoo._mirror``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fk_kazoo._mirror import mirror

if TYPE_CHECKING:
    from kazoo.version import __version__ as __version__
else:
    mirror(__name__)
