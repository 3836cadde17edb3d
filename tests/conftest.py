"""What every test has: loggers as they were. Commands silence kazoo for their process; tests run them in theirs."""

from __future__ import annotations

import logging
from typing import Iterator

import pytest

LOGGERS = tuple(logging.getLogger(name) for name in ("kazoo", "kazoo.client", "fk_kazoo", "fk_backend"))
LEVELS = tuple(logger.level for logger in LOGGERS)
"""As they are before any test, or a fixture of a whole module, has run."""


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """Their levels, and whether all are disabled."""
    disabled = logging.root.manager.disable
    yield
    logging.disable(disabled)
    for logger, level in zip(LOGGERS, LEVELS):
        logger.setLevel(level)
