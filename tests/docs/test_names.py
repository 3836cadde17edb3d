"""What the documentation names exists: tests, files, commands and options, modules, variables, targets of make."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import click
import kazoo
import pytest

from fk_kazoo.cli.main import commands

from ..checkout import ROOT
from .pages import PAGES, blocks, code, name

TEST = re.compile(r"`((?:compat_)?tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
FILE = re.compile(r"(?<![\w/.])((?:(?:compat_)?tests|docs|backend|fk_kazoo|examples|benchmarks)/[\w./-]*[\w/])")
SOURCE = re.compile(r"(?<![\w/.])([a-z_]+(?:/[a-z_]+)*\.py)\b")
COMMAND = re.compile(r"(?:^|[\s;&|(])fk-kazoo ((?:dev )?[a-z]+)((?: [^|;&)]*)?)")
OPTION = re.compile(r"(?<!\S)(--?[a-z][\w-]*)")
MODULE = re.compile(r"\bpython -m ([\w.]+)")
DOTTED = re.compile(r"\b(fk_(?:kazoo|backend)(?:\.\w+)+)")
VARIABLE = re.compile(r"\bFK_[A-Z_]+\b")
TARGET = re.compile(r"\bmake ([a-z]+(?:-[a-z]+)*)")

APP = "app.py"
"""The reader's own."""
SOURCES = [path for place in ("fk_kazoo", "backend", "tests", "benchmarks", "compat_tests", "examples")
           for path in (ROOT / place).rglob("*.py")]  # fmt: skip


def _texts(pattern: "re.Pattern[str]") -> List[Tuple[Path, "re.Match[str]"]]:
    return [(page, match) for page in PAGES for match in pattern.finditer(page.read_text("utf-8"))]


def _named(pattern: "re.Pattern[str]") -> Iterator[Tuple[str, "re.Match[str]"]]:
    """In what pages show as code."""
    for page in PAGES:
        for line in code(page):
            for match in pattern.finditer(line):
                yield name(page), match


def _missing(pattern: "re.Pattern[str]", known: Set[str]) -> List[str]:
    return sorted({"%s: %s" % (page, match[1]) for page, match in _named(pattern) if match[1] not in known})


def test_guarantees_name_tests() -> None:
    """The pattern finds what it looks for."""
    assert len([page for page, _ in _texts(TEST) if page.name == "guarantees.md"]) > 20


@pytest.mark.parametrize("file", sorted({match[1] for _, match in _texts(TEST)}))
def test_named_tests_exist(file: str) -> None:
    """In the file that is named with them."""
    source = (ROOT / file).read_text("utf-8")
    tests = {match[2] for _, match in _texts(TEST) if match[1] == file}
    assert not [test for test in sorted(tests) if not re.search(r"^\s*(async )?def %s\(" % test, source, re.MULTILINE)]


def test_linked_files_exist() -> None:
    """Relative to the page. (`make docs` looks at the places within pages, too.)"""
    links = [(page, match[1]) for page, match in _texts(LINK)]
    assert links and not [(name(page), target) for page, target in links if not (page.parent / target).exists()]


def test_named_files_exist() -> None:
    """Whole paths from the top of the checkout."""
    named = sorted({(page, match[1]) for page, match in _named(FILE)})
    assert len(named) > 20 and not [(page, path) for page, path in named if not (ROOT / path).exists()]


def test_named_sources_exist() -> None:
    """Such as `functions/writer.py`: somewhere in the project, or in kazoo, by the end of its path."""
    theirs = Path(kazoo.__file__).parent.rglob("*.py")
    paths = ["/" + str(path) for path in (*SOURCES, *theirs, ROOT / "setup.py")]
    named = {(page, match[1]) for page, match in _named(SOURCE)} - {(page, APP) for page in map(name, PAGES)}
    own = {(name(page), block.title) for page in PAGES for block in blocks(page)}
    assert not sorted(each for each in named - own if not any(path.endswith("/" + each[1]) for path in paths))


def test_commands_and_their_options_exist() -> None:
    context = click.Context(commands)
    wrong: Set[str] = set()
    found = 0
    for page, match in _named(COMMAND):
        words = match[1].split()
        command = commands.get_command(context, words[0])
        if isinstance(command, click.Group) and len(words) > 1:
            command = command.get_command(context, words[1])
        if words[0] == "run":
            continue  # what follows is the app's
        if command is None:
            wrong.add("%s: fk-kazoo %s" % (page, match[1]))
            continue
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {"--help"}
        for option in OPTION.finditer(match[2]):
            found += 1
            if option[1] not in known and not (len(option[1]) > 2 and option[1][1] != "-"):
                wrong.add("%s: fk-kazoo %s %s" % (page, match[1], option[1]))
    assert found > 50 and not sorted(wrong)


def test_modules_that_are_run_exist() -> None:
    assert not sorted(
        {"%s: %s" % (page, match[1]) for page, match in _named(MODULE) if importlib.util.find_spec(match[1]) is None}
    )


IMPORT = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
for dotted in sys.argv[1:]:
    parts, length = dotted.split("."), dotted.count(".") + 1
    while length:
        try:
            found = importlib.import_module(".".join(parts[:length]))
            for part in parts[length:]:
                found = getattr(found, part)
            break
        except (ImportError, AttributeError):
            length -= 1
    else:
        print(dotted)
"""


def test_dotted_names_can_be_imported() -> None:
    """In a process of its own: gevent's and eventlet's handlers are among them."""
    named = sorted({match[1] for _, match in _named(DOTTED)})
    paths = {**os.environ, "PYTHONPATH": "%s:%s" % (ROOT, ROOT / "backend")}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *named], env=paths, capture_output=True, text=True, timeout=110, check=True
    )
    assert len(named) > 20 and done.stdout.split() == []


def test_variables_are_read_somewhere() -> None:
    others = [path for path in SOURCES if not name(path).startswith("tests/docs/")]
    read = {variable for path in others for variable in VARIABLE.findall(path.read_text("utf-8"))}
    assert not sorted({match[0] for _, match in _named(VARIABLE)} - read)


def test_targets_of_make_exist() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert not _missing(TARGET, rules)


def test_the_architecture_stays_short() -> None:
    """Whoever wants to contribute reads all of it."""
    assert len((ROOT / "docs/architecture.md").read_text("utf-8").splitlines()) <= 400
