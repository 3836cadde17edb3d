"""What apps do rightly passes, and what they do wrongly is an error. As it is installed: tests/packaging/test_types.py."""

from __future__ import annotations

from . import checkers


def test_mypy() -> None:
    checkers.compare("mypy", checkers.mypy(checkers.USES, checkers.ROOT))


def test_pyright() -> None:
    checkers.compare("pyright", checkers.pyright(checkers.USES, checkers.ROOT))
