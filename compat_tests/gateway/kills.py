"""Two gateways in front of a new local:// deployment, killed with SIGKILL in turn while kazoo's own clients work.

ZooKeeper's Java client works beside them where Java and Debian's zookeeper are installed.

python -m compat_tests.gateway.kills [KILLS]

Nothing that was answered is lost, no session that its client kept up is lost, and no two have the lock at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, ClassVar, Dict, List, Sequence

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry

from .fetched import CLIENTS, java_path

WORKERS = 4
TIMEOUT_S = 20.0
PATIENCE_S = 60.0


class Gateway:
    """A process on a port of its own, started again after each kill."""

    def __init__(self, environ: Dict[str, str]) -> None:
        self._environ = environ
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.start()

    def start(self) -> None:
        """Returns when it listens."""
        place = "127.0.0.1:%d" % self.port
        command = [sys.executable, "-m", "fk_kazoo", "serve", "local://kills", "--listen", place]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self._environ)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "a gateway did not start"

    def end(self, number: int) -> int:
        """Sends the signal, and waits; the exit code."""
        self._process.send_signal(number)
        with self._process:
            return self._process.wait(PATIENCE_S)

    def leave_nothing(self) -> None:
        """Kills it if it runs."""
        if self._process.poll() is None:
            self.end(signal.SIGKILL)


class Worker:
    """A client that writes, watches and takes the lock, all the time."""

    inside: ClassVar[List["Worker"]] = []
    overlaps: ClassVar[List[str]] = []

    def __init__(self, number: int, hosts: str) -> None:
        self.number = number
        self.answered: List[str] = []
        self.locked = 0
        self.lost: List[str] = []
        self.stopping = threading.Event()
        retry = KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5)
        self.client = KazooClient(hosts, timeout=TIMEOUT_S, connection_retry=retry, command_retry=retry)
        self.client.add_listener(lambda state: self.lost.append(state) if state == KazooState.LOST else None)
        self.client.start(PATIENCE_S)
        self.session = self.client.client_id[0]
        self.client.ensure_path("/answered")
        self.client.create("/here-%d" % number, ephemeral=True)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._write, self._lock)]
        for thread in self._threads:
            thread.start()

    def _write(self) -> None:
        count = 0
        while not self.stopping.is_set():
            count += 1
            name = "/answered/%d-%d" % (self.number, count)
            try:
                self.answered.append(self.client.create(name))
            except KazooException:
                self.stopping.wait(0.02)  # unknown: it counts as neither

    def _lock(self) -> None:
        lock = self.client.Lock("/lock", str(self.number))
        while not self.stopping.is_set():
            try:
                if not lock.acquire(timeout=5.0):
                    continue
                self.inside.append(self)
                if len(self.inside) > 1:
                    self.overlaps.append("%s" % [each.number for each in self.inside])
                self.stopping.wait(0.005)
                self.inside.remove(self)
                self.locked += 1
                lock.release()
            except (KazooException, KazooTimeoutError):
                self.stopping.wait(0.02)

    def end(self) -> None:
        """Waits until its threads have ended."""
        self.stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def done(self) -> int:
        """How much it has done."""
        return len(self.answered) + self.locked


class JavaWriter:
    """ZooKeeper's Java client in a process of its own, which creates nodes below ``/java``."""

    needs = java_path("zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-simple", "netty-*", "snappy-java")

    def __init__(self, hosts: str) -> None:
        self.said: List[str] = []
        quiet = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-Xmx200m", "-cp", ":".join(self.needs)]
        command = ["java", *quiet, str(CLIENTS / "Writer.java"), hosts, str(round(TIMEOUT_S * 1000)), "/java"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @classmethod
    def can(cls) -> bool:
        """Whether it can run here."""
        return bool(shutil.which("javac")) and any(name.endswith("/zookeeper.jar") for name in cls.needs)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line.strip())

    @property
    def answered(self) -> List[str]:
        """Paths of nodes."""
        return [each for each in self.said if each.startswith("/")]

    def done(self) -> int:
        """How much it has done."""
        return len(self.said)

    def end(self) -> None:
        """Waits until it has ended; its session was kept."""
        assert self._process.stdin is not None
        self._process.stdin.write("end\n")
        self._process.stdin.close()
        self._thread.join(PATIENCE_S)
        assert self._process.wait(PATIENCE_S) == 0 and self.said[-1] == "kept" and "lost" not in self.said

    def leave_nothing(self) -> None:
        """Kills it if it runs."""
        if self._process.poll() is None:
            self._process.kill()


def _until(what: str, holds: Any) -> None:
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > PATIENCE_S:
            raise AssertionError("not within %d s: %s" % (PATIENCE_S, what))
        time.sleep(0.02)


def run(kills: int) -> Dict[str, int]:
    """Figures of a run in which everything held. AssertionError."""
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    Worker.inside.clear()
    Worker.overlaps.clear()
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        gateways = [Gateway({**os.environ, "FK_KAZOO_HOME": home}) for _ in range(2)]
        for each in gateways:
            stack.callback(each.leave_nothing)
        workers = [Worker(n, ",".join("127.0.0.1:%d" % each.port for each in gateways)) for n in range(WORKERS)]
        java: List[JavaWriter] = []
        if JavaWriter.can():
            workers[0].client.retry(workers[0].client.ensure_path, "/java")
            java.append(JavaWriter(",".join("127.0.0.1:%d" % each.port for each in gateways)))
            stack.callback(java[0].leave_nothing)
            _until("the Java client begins", java[0].done)
        everybody: Sequence[Any] = [*workers, *java]
        for kill in range(kills):
            gateways[kill % 2].end(signal.SIGKILL)
            before = [worker.done() for worker in everybody]
            _until("everybody goes on", lambda: all(w.done() > b for w, b in zip(everybody, before)))  # noqa: B023
            gateways[kill % 2].start()
        for worker in everybody:
            worker.end()
        watcher = workers[0].client
        there = {
            "%s/%s" % (above, name)
            for above in ["/answered", *(["/java"] if java else [])]
            for name in watcher.retry(watcher.get_children, above)
        }
        lost = [name for worker in everybody for name in worker.answered if name not in there]
        assert not lost, "answered and lost: %s" % lost[:5]
        assert not Worker.overlaps, "together in the lock: %s" % Worker.overlaps[:5]
        for worker in workers:
            assert not worker.lost and worker.client.client_id[0] == worker.session, "a session was lost"
            assert watcher.retry(watcher.exists, "/here-%d" % worker.number), "an ephemeral was lost"
        for worker in workers:
            worker.client.stop()
            worker.client.close()
        drained = [each.end(signal.SIGTERM) for each in gateways]
        assert drained == [0, 0], drained
    return {
        "kills": kills,
        "sessions": len(everybody),
        "of Java": len(java),
        "answered": sum(len(worker.answered) for worker in everybody),
        "locked": sum(worker.locked for worker in workers),
    }


if __name__ == "__main__":
    print(run(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
