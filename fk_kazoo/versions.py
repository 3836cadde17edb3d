"""What ``--version`` prints. A module of its own, as the plain install and the whole command line both print it."""

from __future__ import annotations

import sys

from fk_kazoo import __version__


def version_line() -> str:
    """Our version and those of what we stand on; kazoo's is looked up only now."""
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    return f"fk-kazoo {__version__} (kazoo {version('kazoo')}, Python {python})"
