"""Starts the processes in which calls are interrupted, and goes on behind a call that hung for good."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Dict, Generator, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from tests.client.programs.support import ROOT, environment

SILENCE_S = 25.0
"""A process that says nothing for so long hangs."""
MOST_HANGS = 3
"""Of one cell."""


class Finding(NamedTuple):
    """Something that must not happen."""

    handler: str
    scheme: str
    cell: str
    line: int
    where: str
    what: str

    def __str__(self) -> str:
        return "%s %s:// %s, line %d at %s: %s" % self


class Report(NamedTuple):
    """What came of it."""

    findings: List[Finding]
    points: Dict[str, int]
    """How often each cell was interrupted."""
    seconds: float


def interrupt(
    handler: str,
    url: str,
    operations: Sequence[str],
    actions: Sequence[str],
    every: int,
    show: Any = None,
    most: int = sys.maxsize,
) -> Report:
    """Interrupts these operations so, in one process at a time, at every so manieth line.

    ``most``: with so many findings that is enough.
    """
    began = time.monotonic()
    todo = [("%s/%s" % (operation, action), 1) for action in actions for operation in operations]
    report = Report([], {}, 0.0)
    if every > 1:  # so that all together see most of the lines
        todo = [(cell, 1 + number % every) for number, (cell, _) in enumerate(todo)]
    hangs: Dict[str, int] = {}
    while todo:
        at: Optional[Tuple[str, int]] = None
        where = "?"
        with contextlib.closing(_listen(_start(handler, url, every, todo))) as process:
            for said in process:
                if "at" in said:
                    at, where = (said["cell"], said["at"]), "?"
                elif "fired" in said:
                    where = said["fired"]
                elif "over" in said:
                    report.points[said["over"]] = report.points.get(said["over"], 0) + said["points"]
                    todo = [each for each in todo if each[0] != said["over"]]
                    at = None
                elif "finding" in said:
                    _note(report, show, handler, url, said["cell"], said["line"], said["where"], said["finding"])
                    if len(report.findings) >= most:
                        todo = []
                        break
                elif "done" in said:
                    todo = []
                elif "silent" in said or "ended" in said:
                    cell, line = at or (todo[0][0], todo[0][1])
                    if said.get("ended") != 3:  # which has said what it found
                        what = "hangs for good" if "silent" in said else "the process ended with %s" % said["ended"]
                        _note(report, show, handler, url, cell, line, where, what + said["text"])
                    hangs[cell] = hangs.get(cell, 0) + 1
                    report.points[cell] = report.points.get(cell, 0) + 1
                    todo = [each for each in todo if each[0] != cell]
                    if hangs[cell] < MOST_HANGS:
                        todo.insert(0, (cell, line + every))
    return report._replace(seconds=time.monotonic() - began)


def _note(report: Report, show: Any, handler: str, url: str, cell: str, line: int, where: str, what: str) -> None:
    finding = Finding(handler, url.partition("://")[0], cell, line, where, what)
    report.findings.append(finding)
    if show is not None:
        show(str(finding))


def _start(handler: str, url: str, every: int, todo: List[Tuple[str, int]]) -> "subprocess.Popen[str]":
    arguments = [handler, url, str(every), *("%s:%d" % each for each in todo)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.client.interruptions.worker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        cwd=ROOT,
    )


def _listen(process: "subprocess.Popen[str]") -> Generator[Dict[str, Any], None, None]:
    """What it says, and at last that it is silent or has ended if it did not say that it is done. It is ended then."""
    lines: "queue.Queue[Optional[str]]" = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield from _said(process, lines)
    finally:
        process.kill()
        process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


def _said(process: "subprocess.Popen[str]", lines: "queue.Queue[Optional[str]]") -> Iterator[Dict[str, Any]]:
    text: List[str] = []
    while True:
        try:
            line = lines.get(timeout=SILENCE_S)
        except queue.Empty:
            os.kill(process.pid, signal.SIGUSR2)  # where its threads are
            while True:
                try:
                    text.append(lines.get(timeout=1.0) or "")
                except queue.Empty:
                    break
            yield {"silent": True, "text": "\n" + "".join(text[-60:])}
            return
        if line is None:
            yield {"ended": process.wait(), "text": "\n" + "".join(text[-30:])}
            return
        if line.startswith("{"):
            said: Dict[str, Any] = json.loads(line)
            yield said
            if "done" in said:
                return
        else:
            text.append(line)
