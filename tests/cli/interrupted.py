"""Commands as processes of their own, interrupted at moments spread over the whole of their lives.

python -m tests.cli.interrupted [TIMES [COMMAND ...]]: each of the commands, so often. Python's own start is left out,
where nobody can do anything: what is begun here hears Ctrl-C from the first line of ``fk_kazoo``'s on.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

from fk_backend.backup.restore import examine
from fk_kazoo.cli.target import connect, leave
from fk_kazoo.moving.dump import DumpEndpoint

URL = "local://app"
NODES = 400
BEGIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
from fk_kazoo.__main__ import main
sys.stdout.write("begun\\n")
sys.stdout.flush()
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
ENDS_S = 60.0
TROUBLE = ("Traceback", "Exception ignored", "never awaited", "never retrieved", "was destroyed", "Warning:")

COMMANDS: Dict[str, str] = {
    "serve": "serve local://app --listen 127.0.0.1:0",
    "doctor": "doctor",
    "watch": "watch /app -r",
    "mirror": "copy local://app local://mirrored --mirror",
    "copy": "copy local://app local://copied",
    "copy to a file": "copy local://app new.gz",
    "copy from a file": "copy dump.gz local://copied",
    "backup": "backup local://app new.backup",
    "restore": "restore app.backup local://restored",
    "console": "console",
    "top": "top",
    "create": "create -e /app/mine",
    "destroy": "destroy local://old --yes --force",
    "get": "get /app/n0001 -o new",
}
FOR_EVER = ("serve", "watch", "mirror", "console", "top", "create")


class Done(NamedTuple):
    """What became of it. ``code``: -2 if it was ended before its own handler was there."""

    code: int
    said: str


class Scene:
    """A deployment with nodes, one that goes, a backup and a dump; as it was before each command."""

    def __init__(self, directory: Path) -> None:
        self._before = directory / "before"
        self._now = directory / "now"
        self._before.mkdir()
        os.environ["FK_KAZOO_HOME"] = str(self._before / "home")
        client = connect(URL, [], 30, True)
        client.create("/app", b"x")
        for answer in [client.create_async("/app/n%04d" % number, b"x" * 100) for number in range(NODES)]:
            answer.get()
        leave(client)
        for words in ("backup local://app app.backup", "copy local://app dump.gz"):
            self._call(self._before, words)
        shutil.copytree(self._before / "home" / "app", self._before / "home" / "old", ignore=_SOCKETS)

    @staticmethod
    def _call(directory: Path, words: str) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, "FK_KAZOO_HOME": str(directory / "home"), "FK_KAZOO_URL": URL}
        command = [sys.executable, "-m", "fk_kazoo", *words.split()]
        return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)

    def interrupted(self, name: str, after_s: float) -> Tuple[Done, float]:
        """The command, which hears Ctrl-C so long after it began; and how long it went on. AssertionError."""
        shutil.rmtree(self._now, ignore_errors=True)
        shutil.copytree(self._before, self._now, ignore=_SOCKETS)
        environ = {**os.environ, "FK_KAZOO_HOME": str(self._now / "home"), "FK_KAZOO_URL": URL, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [sys.executable, "-c", BEGIN, *COMMANDS[name].split()],
            cwd=self._now,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where a shell began us so
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == "begun\n"
            begun = time.monotonic()
            try:
                process.wait(after_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            try:
                said, _ = process.communicate(timeout=ENDS_S)
            finally:
                process.kill()
        done = Done(process.returncode, said)
        self._check(name, done)
        return done, time.monotonic() - begun

    def _check(self, name: str, done: Done) -> None:
        assert done.code in ((130, -2) if name in FOR_EVER else (130, -2, 0)), (name, done)
        assert not [one for one in TROUBLE if one in done.said], (name, done.said)
        assert done.code != 130 or "interrupted" in done.said or name == "serve" or not done.said, (name, done)
        made = {one.name for one in self._now.iterdir()} - {one.name for one in self._before.iterdir()}
        assert made <= set(WHOLE), (name, made)
        assert all(WHOLE[one](self._now / one) for one in made), (name, made)
        homes = set(os.listdir(self._now / "home")) - {"app", "old", "mirrored", "copied", "restored"}
        assert not homes, (name, homes)

    def whole(self, name: str) -> None:
        """What is there afterwards can be used: the same command again, or the one that says what is left."""
        if name in ("copy", "copy from a file"):
            again = self._call(self._now, COMMANDS[name] + " --verify")
            assert again.returncode == 0 and "every node is equal" in again.stdout, again
        if name == "restore":
            again = self._call(self._now, "ls /app --url local://restored")
            assert again.returncode or again.stdout.count("\n") == NODES, "half a tree is shown"
        if name == "doctor":
            left = self._call(self._now, "ls")
            assert left.stdout == "app\nzookeeper\n", left


def _examined(file: Path) -> bool:
    with open(file, "rb") as opened:
        examine(opened)
    return True


WHOLE: Dict[str, Callable[[Path], bool]] = {
    "new.gz": lambda file: DumpEndpoint(str(file)).nodes == NODES + 2,
    "new.backup": _examined,
    "new": lambda file: file.stat().st_size == 100,
}
"""Files that commands make. One that has its name is whole, also if the interrupt came right after."""

_SOCKETS = shutil.ignore_patterns("*.sock")


def lives(scene: Scene, name: str, times: int, choice: random.Random, longest_s: float) -> List[Any]:
    """Exit codes. The moments are spread evenly, with chance within each part."""
    codes = []
    for part in range(times):
        done, _ = scene.interrupted(name, (part + choice.random()) / times * longest_s)
        if done.code != 0:
            scene.whole(name)
        codes.append(done.code)
    return codes


def main(arguments: Sequence[str]) -> None:
    """Prints what each came to."""
    times = int(arguments[0]) if arguments else 20
    names = arguments[1:] or list(COMMANDS)
    with tempfile.TemporaryDirectory(prefix="fk-kazoo-interrupted-") as base:
        scene = Scene(Path(base))
        for name in names:
            whole_s = 2.0 if name in FOR_EVER else scene.interrupted(name, ENDS_S)[1]
            codes = lives(scene, name, times, random.Random(1), whole_s)
            print("%-18s %5.1f s  %s" % (name, whole_s, {code: codes.count(code) for code in set(codes)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
