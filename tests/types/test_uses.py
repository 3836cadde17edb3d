"""What apps do rightly passes, and what they do wrongly is an error; tests/packaging has the same for the wheel."""

from __future__ import annotations

import pytest

from . import checkers


def test_mypy() -> None:
    checkers.compare("mypy", checkers.mypy(checkers.USES, checkers.ROOT))


@pytest.mark.timeout(300)
def test_pyright() -> None:
    checkers.compare("pyright", checkers.pyright(checkers.USES, checkers.ROOT))
