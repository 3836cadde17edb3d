"""Which code a run was of."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commit() -> str:
    """The commit that is checked out, and whether it was changed."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(asked, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
