"""Which code a run was of."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


LEDGERS = ":(exclude)docs/long-runs"
"""What such a run itself writes is not code."""


def commit() -> str:
    """The commit that is checked out, and whether it was changed."""

    def git(*arguments: str) -> str:
        asked = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(asked, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", LEDGERS)
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
