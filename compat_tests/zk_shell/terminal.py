"""zk-shell in a pseudo-terminal, as somebody at a keyboard uses it.

Rule upheld here: nothing waits for time to pass. A command is done when the prompt is back, and what comes unasked is
waited for by its text.
"""

from __future__ import annotations

import io
import os
import sys
import sysconfig
from pathlib import Path
from types import TracebackType
from typing import Dict, List, Optional, Sequence, Type

import pexpect  # type: ignore[import-untyped]

import fk_kazoo

TIMEOUT_S = 20.0
PROMPT = r"\(CONNECTED \[[^\]]*\]\) (/[^>\r\n]*)> "
ROOT = Path(fk_kazoo.__file__).resolve().parent.parent


class Terminal:
    """One terminal with zk-shell in it, connected. Leaving the block kills what has not ended by itself."""

    def __init__(self, command: Sequence[str], directory: Path, timeout: float = TIMEOUT_S) -> None:
        self._log = io.StringIO()
        self._child = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(directory),
            env=environ(directory),
            encoding="utf-8",
            timeout=timeout,
            dimensions=(50, 400),
        )
        self._child.delaybeforesend = None
        self._child.logfile_read = self._log
        self._child.expect(PROMPT)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._child.close(force=True)

    @property
    def screen(self) -> str:
        """Everything that was printed, with what was typed, as the terminal showed it."""
        return self._log.getvalue().replace("\r\n", "\n")

    def run(self, command: str) -> str:
        """Types a command; what is printed until the prompt is back."""
        self._child.sendline(command)
        self._child.expect_exact(command + "\r\n")
        self._child.expect(PROMPT)
        return str(self._child.before).replace("\r\n", "\n").rstrip("\n")

    def lines(self, command: str) -> List[str]:
        """As `run`, line by line, in an order of its own: ZooKeeper promises none for children."""
        return sorted(self.run(command).split("\n"))

    def prompted(self) -> str:
        """Waits for one more prompt; the directory that it shows."""
        self._child.expect(PROMPT)
        return str(self._child.match.group(1))

    def type(self, keys: str) -> None:
        """Types without Return."""
        self._child.send(keys)

    def see(self, text: str) -> None:
        """Waits until ``text`` is printed."""
        self._child.expect_exact(text)

    def leave(self, command: str = "quit") -> int:
        """Ends zk-shell; its exit code."""
        self._child.sendline(command)
        self._child.expect(pexpect.EOF)
        self._child.wait()
        return int(self._child.exitstatus if self._child.exitstatus is not None else -self._child.signalstatus)


def on_deployment(url: str, *arguments: str) -> List[str]:
    """The command line that a user types, with this interpreter as ``python``."""
    return [sys.executable, "-m", "fk_kazoo", "run", "--url", url, "zk-shell", *arguments]


def environ(directory: Path) -> Dict[str, str]:
    """Of a user whose home is ``directory``: nothing of the deployments and settings outside."""
    kept = {name: value for name, value in os.environ.items() if name not in ("FK_KAZOO_URL", "COLUMNS", "LINES")}
    return {
        **kept,
        "HOME": str(directory),
        "FK_KAZOO_HOME": str(directory / "deployments"),
        "FK_KAZOO_HOSTS": "*",
        "INPUTRC": os.devnull,
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), kept.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backend")]),
        "TERM": "dumb",
    }
