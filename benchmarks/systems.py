"""What is measured, running: each system from a fresh start on a real disk, ended by the process that started it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from compat_tests import on_postgres
from tests.differential.zookeeper_server import ZookeeperServer, unavailable

from .delay import HERE, DelayedPort

REPOSITORY = Path(__file__).resolve().parent.parent
USUAL = ("zookeeper", "local", "memory", "zake")
DATABASES = {"postgresql": "", "postgresql-queue": "?via=queue"}
"""By what a URL ends."""
NAMES = (*USUAL, *DATABASES)
HEAP = "1000m"
"""What ZooKeeper's own start script gives a server."""


class WorkerProcess:
    """A worker process."""

    def __init__(self, url: str, name: str, home: Path) -> None:
        paths = [str(REPOSITORY), str(REPOSITORY / "backend"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "FK_KAZOO_HOME": str(home),
                # As what is installed is: kazoo comes compiled, and a checkout must not be compiled at each start.
                "PYTHONDONTWRITEBYTECODE": "",
                "PYTHONPYCACHEPREFIX": str(REPOSITORY / ".cache" / "bytecode"),
            },
        )
        self.pid = self._process.pid

    def tell(self, do: str, **arguments: Any) -> None:
        """Gives a command; `answer` waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """What the command returned. RuntimeError with what it raised."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def ask(self, do: str, **arguments: Any) -> Any:
        """Gives a command and waits for its end."""
        self.tell(do, **arguments)
        return self.answer()

    def end(self) -> None:
        """Closes the session and ends the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self.ask("stop")
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class System:
    """One of `NAMES`, from nothing. Use it as a context.

    ``delay_ms``: a round trip of the network between it and its clients, beside that of this machine itself.
    """

    def __init__(self, name: str, disk: Path, delay_ms: float = 0.0) -> None:
        self.name = name
        self._delay_ms = delay_ms
        self._network = contextlib.ExitStack()
        self._directory = Path(tempfile.mkdtemp(prefix=name + "-", dir=disk))
        self._workers: List[WorkerProcess] = []
        self._server: Optional[ZookeeperServer] = None
        self._database: Optional[on_postgres.PostgresServer] = None
        self.host: Optional[WorkerProcess] = None
        self.url = {"local": "local://bench", "memory": "memory://bench", "zake": "zake:"}.get(name, "")

    def __enter__(self) -> "System":
        if self.name == "zookeeper":
            self._server = ZookeeperServer(self._directory, durable=True, heap=HEAP).__enter__()
            self.url = "zookeeper:" + self._behind(self._server.hosts, self._server.hosts)
        elif self.name in DATABASES:
            self._database = on_postgres.PostgresServer(fsync=True, disk=Path("/var/tmp")).__enter__()
            at = "%s:%d" % (self._database.host, self._database.port)
            self.url = self._behind(self._database.url, at) + DATABASES[self.name]
        elif self.name == "local":
            self.host = WorkerProcess(self.url, "host", self._directory)
            self.host.ask("start")
        return self

    def _behind(self, url: str, place: str) -> str:
        """The URL with the place, ``host:port``, where the delayed one is."""
        if not self._delay_ms:
            return url
        port = self._network.enter_context(DelayedPort(int(place.rpartition(":")[2]), self._delay_ms))
        return url.replace(place, "%s:%d" % (HERE, port))

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.end()
        self._network.close()
        if self.host is not None:
            self.host.end()
        if self._server is not None:
            self._server.__exit__(None, None, None)
        if self._database is not None:
            self._database.__exit__(None, None, None)
        subprocess.run(["rm", "-rf", str(self._directory)], check=True)

    @property
    def shared(self) -> bool:
        """Whether several processes can use it."""
        return self.name in ("zookeeper", "local", *DATABASES)

    def worker(self, name: str) -> WorkerProcess:
        """A process with a client that is not started yet."""
        worker = WorkerProcess(self.url, name, self._directory)
        self._workers.append(worker)
        return worker

    def dismiss(self, worker: WorkerProcess) -> None:
        """Ends a worker."""
        self._workers.remove(worker)
        worker.end()

    def bytes_on_disk(self) -> int:
        """Of everything it has written and not given back."""
        directory = self._directory if self._database is None else self._database.data
        return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())

    def served_by(self) -> List[int]:
        """The processes without which there is no deployment, beside the client's own; the first one began others."""
        pids = [self._server.pid] if self._server is not None else []
        if self._database is not None and self._database.process is not None:
            pids += family(self._database.process.pid)
        return pids + ([self.host.pid] if self.host is not None else [])


def missing(name: str) -> Optional[str]:
    """Why a system can't be measured here, or None."""
    if name == "zookeeper":
        return unavailable()
    if name in DATABASES:
        return on_postgres.unavailable()
    if name == "zake":
        try:
            import zake.fake_client  # noqa: F401
        except Exception as error:  # whatever it is, the table says so
            return "zake can't be imported here: %r (pip install zake)" % error
    return None


def family(pid: int) -> List[int]:
    """A process, and its children at this moment."""
    return [pid, *map(int, Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split())]


def proportional_kb(pid: int) -> int:
    """What a process has in memory, shared pages divided among those who share them (PSS), in kB."""
    fields: Dict[str, str] = {}
    for line in Path("/proc/%d/smaps_rollup" % pid).read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        fields[name] = value
    return int(fields["Pss"].split()[0])
