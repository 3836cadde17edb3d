"""Every Python snippet of the documentation is run, and prints what is shown.

A page's untitled snippets are one program. A titled one is a file of that name, beside the page's other files. Tests
are run by pytest; programs where a console block says ``$ python NAME``, and they have to print what follows there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from ..checkout import ROOT
from .pages import PAGES, Block, blocks, name

ELSEWHERE = {"README.md": "tests/docs/test_snippets.py", "docs/locks.md": "tests/client/test_locks_page.py"}
"""Pages whose snippets are run by a test of their own: what they print, or need, is not said as here."""
RUN = re.compile(r"^\$ python (\S+)$")
SNIPPETS = {name(page): [block for block in blocks(page) if block.language == "python"] for page in PAGES}
TIMEOUT_S = 110


def test_pages_have_snippets() -> None:
    """And those that are run elsewhere are."""
    assert sum(map(len, SNIPPETS.values())) > 20
    for page, test in ELSEWHERE.items():
        assert SNIPPETS[page] and Path(page).name in (ROOT / test).read_text("utf-8")


@pytest.mark.parametrize("page", sorted(page for page, found in SNIPPETS.items() if found and page not in ELSEWHERE))
def test_the_snippets_run(page: str, tmp_path: Path) -> None:
    found = blocks(ROOT / page)
    program = "\n".join(block.text for block in SNIPPETS[page] if not block.title)
    if program:
        (tmp_path / "page.py").write_text(program, "utf-8")
        _run(tmp_path, "page.py")
    for block in SNIPPETS[page]:
        if block.title:
            (tmp_path / block.title).write_text(block.text, "utf-8")
            if block.title.startswith("test_"):
                _run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", block.title)
    sessions = [block for block in found if block.language == "console" and RUN.match(block.text.split("\n")[0])]
    assert _programs(SNIPPETS[page]) <= {_typed(block) for block in sessions}, "a program that nothing runs"
    for block in sessions:
        assert _run(tmp_path, _typed(block)) == block.text.split("\n", 1)[1]


def _programs(found: List[Block]) -> "set[str]":
    return {block.title for block in found if block.title and not block.title.startswith("test_")}


def _typed(block: Block) -> str:
    match = RUN.match(block.text.split("\n")[0])
    assert match is not None
    return match[1]


def _run(directory: Path, *arguments: str) -> str:
    environ: Dict[str, str] = {
        **os.environ,
        "FK_KAZOO_HOME": str(directory / "home"),
        "PYTHONPATH": "%s:%s" % (ROOT, ROOT / "backend"),
    }
    environ.pop("FK_KAZOO_URL", None)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_example_prints_what_the_readme_says(tmp_path: Path) -> None:
    """Twice: it is on the disk."""
    page = (ROOT / "README.md").read_text("utf-8")
    (tmp_path / "example.py").write_text(SNIPPETS["README.md"][0].text, "utf-8")
    printed = [_run(tmp_path, "example.py") for _ in range(2)]
    assert ["`%s`" % line.strip() for line in printed] == re.findall("`/reports/r-[0-9]+`", page)
