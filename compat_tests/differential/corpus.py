"""Programs with what a real ZooKeeper 3.8 told their sessions, one JSON list ``[program, transcript]`` a line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Iterable, List, Tuple

from .runner import Program, Transcript

CORPUS = Path(__file__).parent / "corpus.json.gz"
Recorded = Tuple[Program, Transcript]


def load(path: Path = CORPUS) -> List[Recorded]:
    """All of them."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [(program, transcript) for program, transcript in map(json.loads, file)]


def for_deployment(url: str, recorded: Iterable[Recorded]) -> List[Recorded]:
    """Those that can be compared there: on `aws://` no address of a client is known, and `ip` ACLs match nobody."""
    return [each for each in recorded if not (url.startswith("aws:") and _names_own_address(each[0]))]


def _names_own_address(program: Program) -> bool:
    return '"here"' in json.dumps(program)


def save(recorded: Iterable[Recorded], path: Path = CORPUS) -> None:
    """The same programs make the same file."""
    lines = [json.dumps(each, separators=(",", ":")) + "\n" for each in recorded]
    path.write_bytes(gzip.compress("".join(lines).encode("utf-8"), 9, mtime=0))
