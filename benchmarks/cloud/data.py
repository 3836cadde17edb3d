"""What others measured and published, as it is in `benchmarks/data`, each file with its source."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Dict

from ..systems import REPOSITORY

DATA = REPOSITORY / "benchmarks" / "data"


@cache
def load(name: str) -> Dict[str, Any]:
    """A file, by its name without ``.json``."""
    loaded: Dict[str, Any] = json.loads((DATA / (name + ".json")).read_text())
    return loaded
