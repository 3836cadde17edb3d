"""What the documentation names exists: every test that a guarantee rests on, and every file that a page links to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("compat_tests/**/*.md")])
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def _found(pattern: "re.Pattern[str]") -> List[Tuple[Path, "re.Match[str]"]]:
    return [(page, match) for page in PAGES for match in pattern.finditer(page.read_text("utf-8"))]


def test_guarantees_name_tests() -> None:
    """The pattern finds what it looks for."""
    assert len([page for page, _ in _found(TEST) if page.name == "guarantees.md"]) > 20


@pytest.mark.parametrize("file, name", sorted({match.groups() for _, match in _found(TEST)}))
def test_a_named_test_exists(file: str, name: str) -> None:
    """In the file that is named with it."""
    assert re.search(r"^\s*(async )?def %s\(" % name, (ROOT / file).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page, target", sorted({(str(p.relative_to(ROOT)), m[1]) for p, m in _found(LINK)}))
def test_a_linked_file_exists(page: str, target: str) -> None:
    """Relative to the page."""
    assert ((ROOT / page).parent / target).exists()


def test_the_architecture_stays_short() -> None:
    """Whoever wants to contribute reads all of it."""
    assert len((ROOT / "docs/architecture.md").read_text("utf-8").splitlines()) <= 400


def test_the_first_example_prints_what_the_readme_says(tmp_path: Path) -> None:
    """Twice: it is on the disk."""
    page = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    program = tmp_path / "example.py"
    program.write_text(block[1], "utf-8")
    environ = {**os.environ, "FK_KAZOO_HOME": str(tmp_path / "home"), "PYTHONPATH": "%s:%s" % (ROOT, ROOT / "backend")}
    printed = [
        subprocess.run([sys.executable, str(program)], env=environ, capture_output=True, text=True, timeout=60).stdout
        for _ in range(2)
    ]
    assert ["`%s`" % line.strip() for line in printed] == re.findall("`/reports/r-[0-9]+`", page)
