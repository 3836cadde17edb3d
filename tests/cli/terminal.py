"""A terminal that says what lines print, as docs/cli.md shows it: ``fk-kazoo`` in this process, the rest by a shell.

Understood: pipes, ``> FILE``, ``2> FILE`` last, variables before a command, ``export``, ``echo $?``, and ``&``, which
begins a process of its own, for ``kill -INT %1``, ``kill %1`` or ``wait`` afterwards. What differs from run to run
(times, ids of sessions, figures of speed, ports) is replaced by what stands in `FIXED`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Match, Optional, Sequence, Tuple, Union

from fk_kazoo.__main__ import main

PROMPT = "$ "
READY = {"create": "it stays", "console": "ends it", "dev": "as they are invoked", "python": "\n"}
"""What says that a process in the background has begun; of others, their first line."""
END_S = 60.0

Fixed = Tuple[str, Union[str, Callable[[Match[str]], str]]]

FIXED: List[Fixed] = [
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-03-01 12:00:00"),
    (r"\b\d\d:\d\d:\d\d\b(?<!2026-03-01 12:00:00)", "12:00:00"),
    (r"\b1[0-9]{12}\b", "1772366400000"),
    (r"(?<=:)\d{12}(?=:)|(?<=account )\d{12}\b", "123456789012"),
    (r"\b0x[0-9a-f]{14,16}\b", "0x1a2b3c4d5e6f70"),
    (r" +\d+\.\d ms", lambda found: "1.5 ms".rjust(len(found[0]))),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:49152"),
    (r"(127\.0\.0\.1:49152/)[\w-]{20,}/", r"\1R4nd0mT0ken/"),
    (r"(?<!-)kazoo \d+\.\d+\.\d+", "kazoo 2.11.0"),
    (r"Python \d+\.\d+\.\d+", "Python 3.12.0"),
    (r"\b\d+ bytes$", "1234 bytes"),
    (r"\b\d+ B$", "1234 B"),
]


class Terminal:
    """In a directory, with variables of its own. A context manager: what it began has ended then."""

    def __init__(self, directory: Path, variables: Dict[str, str], fixed: Sequence[Fixed] = ()) -> None:
        self.directory = directory
        self._variables = dict(variables)
        self._fixed = [*fixed, *FIXED]
        self._code = 0
        self._other: Optional[Background] = None

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._other is not None:
            self._other.ended(signal.SIGKILL)

    def session(self, lines: str) -> str:
        """The lines, each with what it prints."""
        shown = []
        for line in lines.strip().splitlines():
            printed = self._steady(self.type(line))
            shown.append(PROMPT + line + "\n" + (printed if not printed or printed.endswith("\n") else printed + "\n"))
        return "".join(shown)

    def _steady(self, printed: str) -> str:
        for pattern, fixed in self._fixed:
            printed = re.sub(pattern, fixed, printed, flags=re.MULTILINE)
        return printed

    def type(self, line: str) -> str:
        """What one line prints, on both outputs."""
        words = shlex.split(line)
        if words[0] == "export":
            self._variables.update(word.split("=", 1) for word in words[1:])
            return ""
        if line == "echo $?":
            return "%d\n" % self._code
        if words[-1] == "&":
            assert self._other is None
            self._other = Background(words[:-1], self.directory, self._environ())
            return self._other.begun()
        if words[0] in ("kill", "wait"):
            assert self._other is not None
            number = {"wait": None, "kill": signal.SIGTERM}[words[0]]
            printed, self._code = self._other.ended(signal.SIGINT if "-INT" in words else number)
            self._other = None
            return printed
        return self._foreground(line)

    def _environ(self, more: Sequence[str] = ()) -> Dict[str, str]:
        return {**os.environ, **self._variables, **dict(word.split("=", 1) for word in more)}  # type: ignore[misc] # pairs

    def _foreground(self, line: str) -> str:
        printed, given = io.BytesIO(), b""
        line, _, errors = line.partition(" 2> ")
        line, _, file = line.partition(" > ")
        assert " " not in errors + file, "outputs come last here"
        aside = io.BytesIO() if errors else printed
        parts = re.split(r" \| (?=\w)", line)
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            out = printed if last and not file else io.BytesIO()
            words = shlex.split(part)
            before = [word for word in words if re.match(r"[A-Z_]+=", word)]
            words = words[len(before) :]
            with self._here(before):
                self._code = _program(words)(words, part, given, out, aside)
            given = out.getvalue()
        if file:
            (self.directory / file).write_bytes(given)
        if errors:
            (self.directory / errors).write_bytes(aside.getvalue())
        return printed.getvalue().decode()

    @contextlib.contextmanager
    def _here(self, more: Sequence[str]) -> Iterator[None]:
        kept, directory = dict(os.environ), os.getcwd()
        os.environ.update(self._environ(more))
        os.chdir(self.directory)
        try:
            yield
        finally:
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(kept)


def _program(words: List[str]) -> Callable[[List[str], str, bytes, io.BytesIO, io.BytesIO], int]:
    if words[0] != "fk-kazoo":
        return _theirs
    return _apart if words[1] == "run" else _ours


def _apart(words: List[str], line: str, given: bytes, out: io.BytesIO, err: io.BytesIO) -> int:
    """`run` replaces kazoo's client in its process."""
    return _theirs(words, "%s -m fk_kazoo %s" % (sys.executable, shlex.join(words[1:])), given, out, err)


def _ours(words: List[str], _: str, given: bytes, out: io.BytesIO, err: io.BytesIO) -> int:
    kept = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.BytesIO(given))
    streams = [io.TextIOWrapper(one, write_through=True) for one in (out, err)]
    sys.stdout, sys.stderr = streams
    try:
        return main(words[1:])
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept
        for one in streams:
            one.detach()


def _theirs(words: List[str], line: str, given: bytes, out: io.BytesIO, err: io.BytesIO) -> int:
    done = subprocess.run(["bash", "-c", line], input=given, capture_output=True, check=False)
    out.write(done.stdout)
    err.write(done.stderr)
    return done.returncode


class Background:
    """A process that goes on beside."""

    def __init__(self, words: List[str], directory: Path, environ: Dict[str, str]) -> None:
        program = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "fk_kazoo"]
        self._ready = READY.get(words[0] if words[0] == "python" else words[1], "\n")
        self._process = subprocess.Popen(
            [*program, *words[1:]],
            cwd=directory,
            env={**environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where a shell begins it so
        )
        self._watchdog = threading.Timer(2 * END_S, self._process.kill)
        self._watchdog.start()

    def begun(self) -> str:
        """What it prints until it is what it is for."""
        assert self._process.stdout is not None
        printed = ""
        for line in self._process.stdout:
            printed += line.decode()
            if self._ready in printed:
                break
        return printed

    def ended(self, number: Optional[signal.Signals]) -> Tuple[str, int]:
        """What it printed after that, and its exit code."""
        if number is not None:
            self._process.send_signal(number)
        printed, _ = self._process.communicate(timeout=END_S)
        self._watchdog.cancel()
        return printed.decode(), self._process.returncode
