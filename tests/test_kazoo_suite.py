"""The runner of kazoo's own tests: what `make` relies on when it runs once more what failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "compat_tests.kazoo_suite", "--url", "memory://runner", *arguments]
    return subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=100)


def test_what_failed_is_run_once_more_by_itself(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(
        "import os\n\n\ndef test_passes():\n    pass\n\n\ndef test_fails():\n    assert os.path.exists(%r)\n"
        % str(tmp_path / "mended")
    )
    words = ["--kazoo-tests", str(tmp_path), "-o", "cache_dir=%s" % (tmp_path / "cache")]
    first = _run(*words)
    assert first.returncode == 1 and "1 passed, 1 failed" in first.stdout, first.stdout + first.stderr
    (tmp_path / "mended").touch()
    again = _run(*words, "--last-failed")
    assert again.returncode == 0 and "1 passed, 0 failed" in again.stdout, again.stdout + again.stderr
