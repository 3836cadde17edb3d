"""Writes transcript.md from a real run: ``python -m compat_tests.zk_shell.transcript``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Dict, List

from .terminal import ROOT, Terminal, on_deployment
from .tour import DIRECTORY, SECTIONS, SERVER, SESSION_TIMEOUT_S, Section, play

PAGE = ROOT / "compat_tests" / "zk_shell" / "transcript.md"
BEGIN = "<!-- transcript: written by compat_tests/zk_shell/transcript.py -->\n"
END = "<!-- end of transcript -->\n"
NAMES = {SERVER: "127.0.0.1:2181"}
OPTIONS: Dict[int, List[str]] = {
    1: ["--sync-connect", "--connect-timeout", str(SESSION_TIMEOUT_S)],
    2: ["--sync-connect"],
}


class Pages:
    """The screens of the terminals, each cut where the sections end: in front of the prompt that waits."""

    def __init__(self, terminals: Dict[int, Terminal]) -> None:
        self._terminals = terminals
        self._shown = dict.fromkeys(terminals, 0)

    def cut(self, first: int) -> str:
        """What each terminal has shown since the last cut, that of ``first`` first."""
        return "".join(self._since(number) for number in sorted(self._terminals, key=lambda each: each != first))

    def _since(self, number: int) -> str:
        screen = self._terminals[number].screen
        start, self._shown[number] = self._shown[number], screen.rindex("\n") + 1
        text = screen[start : self._shown[number]].rstrip()
        if not start:
            typed = " ".join(["python", *on_deployment("local://demo", *OPTIONS[number], NAMES[SERVER])[1:]])
            text = "$ %s\n%s" % (typed, text)
        return "In terminal %d:\n\n```text\n%s\n```\n\n" % (number, text) if text else ""


def transcript() -> str:
    """The tour on ``local://demo`` in a new directory, as Markdown."""
    with tempfile.TemporaryDirectory(prefix="zk-shell-") as name:
        directory = Path(name)
        (directory / "notes.txt").write_text("from a file\n", encoding="utf-8")
        with _terminal(1, directory) as one, _terminal(2, directory) as two:
            terminals = {1: one, 2: two}
            pages = Pages(terminals)
            return "".join(_told(section, terminals, pages, directory) for section in SECTIONS)


def _terminal(number: int, directory: Path) -> Terminal:
    return Terminal(on_deployment("local://demo", *OPTIONS[number], NAMES[SERVER]), directory)


def _told(section: Section, terminals: Dict[int, Terminal], pages: Pages, directory: Path) -> str:
    for _ in play(section, terminals, {**NAMES, DIRECTORY: str(directory)}):
        pass
    return "### %s\n\n%s" % (section.title, pages.cut(section.steps[0].terminal))


def main() -> None:
    """Replaces what is between the marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + "\n" + transcript() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
