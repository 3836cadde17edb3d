"""The pages of the documentation, and what is in them: blocks, and the code that their text names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, List, NamedTuple

from ..checkout import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("compat_tests/**/*.md")])
_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)+")
_SPAN = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A fenced block: its language, the file that it is (or ""), its text, and the line that its text begins in."""

    language: str
    title: str
    text: str
    line: int


def name(page: Path) -> str:
    """Relative to the checkout."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> List[Block]:
    """In their order."""
    text = page.read_text("utf-8")
    return [Block(m[1], m[2] or "", m[3], text.count("\n", 0, m.start(3))) for m in _FENCE.finditer(text)]


def code(page: Path) -> Iterator[str]:
    """What the page shows as code, a line at a time: spans in the text, and lines of blocks."""
    text = page.read_text("utf-8")
    for block in _FENCE.finditer(text):
        yield from block[3].splitlines()
    prose = _FENCE.sub("", text)
    for block in _INDENTED.finditer(prose):
        yield from block[0].splitlines()
    for span in _SPAN.finditer(prose):
        yield span[1]
