"""What docstrings and comments name in backticks is there: `a_name`, or `module.Name`, in the project's own code."""

from __future__ import annotations

import builtins
import io
import re
import tokenize
from pathlib import Path
from typing import Iterator, List, Set, Tuple

from ..checkout import ROOT

NAMED = re.compile(r"(?<!`)`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)`(?!`)")
OTHERS = {"asyncio.Protocol", "X500Principal.getName", "add_recursion_detection_header"}
"""Python's, Java's, and the SDK's."""
SOURCES = [path for place in ("fk_kazoo", "backend") for path in sorted((ROOT / place).rglob("*.py"))]

Prose = Tuple[Path, int, str]


def _tokens(path: Path) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)


def _read() -> Tuple[Set[str], List[Prose]]:
    """Every name of the code, and what is said of it."""
    names, prose = {*dir(builtins), *(path.stem for path in SOURCES), *(path.parent.name for path in SOURCES)}, []
    for path in SOURCES:
        for token in _tokens(path):
            is_long = token.type == tokenize.STRING and token.string.endswith('"""')
            if token.type == tokenize.COMMENT or is_long:
                prose.append((path, token.start[0], token.string))
            elif token.type == tokenize.NAME:
                names.add(token.string)
            elif token.type == tokenize.STRING:  # an attribute, a table, a field of a message
                names.update(re.findall(r"\w+", token.string))
    return names, prose


def _missing(names: Set[str], prose: List[Prose]) -> List[str]:
    modules = {path.stem for path in SOURCES} | {path.parent.name for path in SOURCES}
    found = []
    for path, line, text in prose:
        for match in NAMED.finditer(text):
            *places, last = match[1].split(".")
            of_module = not places or not last[:1].isupper() or places[-1] in modules or places[-1][:1].isupper()
            if match[1] not in OTHERS and not (last in names and of_module and names.issuperset(places)):
                found.append("%s:%d: %s" % (path.relative_to(ROOT), line + text[: match.start()].count("\n"), match[1]))
    return found


def test_what_docstrings_name_is_there() -> None:
    assert not _missing(*_read())


def test_what_is_not_there_is_found() -> None:
    names, _ = _read()
    text = "`NoSuchName`, `ports.Gateway`, `nosuchmodule.Gateway` and ``code``"
    assert [each.rpartition(" ")[2] for each in _missing(names, [(SOURCES[0], 1, text)])] == [
        "NoSuchName",
        "nosuchmodule.Gateway",
    ]
