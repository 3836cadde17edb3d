"""One process with one client, which does what it is told on its standard input and answers on its output.

A line in, a line out, JSON both. Every system has processes of its own, so that what one costs is not paid by another.
`python -m benchmarks.worker URL NAME`: the URL is a deployment's, ``zookeeper:host:port``, or ``zake:``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any, Dict, List

from .moments import ASKED, RETURNED, Note, Notes
from .rows import DATA, ROOT, ROWS, Bench

TIMEOUT_S = 60.0
PATIENCE_S = 600.0
"""Of our own clients: a machine that is busy with other things ends no session."""


def client(url: str) -> Any:
    """A client for a system; nothing is imported that it does not need. Not started."""
    scheme, _, rest = url.partition(":")
    if scheme == "zookeeper":
        from kazoo.client import KazooClient

        return KazooClient(rest, timeout=TIMEOUT_S)
    if scheme == "zake":
        from zake.fake_client import FakeClient

        return FakeClient()
    from fk_kazoo.client import KazooClient as Ours

    return Ours(url, timeout=PATIENCE_S)


class Worker:
    """The commands: each a method, called with what came along."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._client: Any = None
        self._growing: Any = None
        self._notes = Notes()
        self._fired = threading.Event()
        self._fired_at = 0

    def imported(self) -> None:
        """Imports everything that connecting needs."""
        made = client(self._url)
        if hasattr(made, "deployment"):
            from fk_backend.providers import provider

            provider(made.deployment.scheme)

    def start(self) -> float:
        """Connects; how long that took."""
        self._client = client(self._url)
        started = time.perf_counter()
        self._client.start(60)
        spent = time.perf_counter() - started
        self._bench = Bench(self._client, self._name)
        return spent

    def first(self) -> int:
        """The first write of a system; when it was answered (CLOCK_MONOTONIC, ns)."""
        if self._client is None:
            self.start()
        self._client.create("/first", b"")
        return time.monotonic_ns()

    def connect_and_create(self, url: str) -> int:
        """`first`, where it became known only now."""
        self._url = url
        return self.first()

    def prepare(self) -> None:
        """Makes the nodes that rows use."""
        self._bench.prepare()

    def row(self, row: str, count: int) -> List[float]:
        """Seconds per operation."""
        return ROWS[row](self._bench, count)

    def again(self, count: int) -> List[float]:
        """Seconds to connect another client of this process."""
        times = []
        for _ in range(count):
            another = client(self._url)
            started = time.perf_counter()
            another.start(60)
            times.append(time.perf_counter() - started)
            another.stop()
            another.close()
        return times

    # --- moments ------------------------------------------------------------------------------------

    def watch(self) -> None:
        """From now on moments are noted (see `moments`)."""
        self._notes.watch()

    def sets(self, count: int) -> None:
        """Calls of `set`, one after the other."""
        for _ in range(count):
            self._notes.note(ASKED)
            self._client.set(self._bench.node, DATA)
            self._notes.note(RETURNED)

    def noted(self) -> List[Note]:
        """What was noted since the last time."""
        return self._notes.taken()

    # --- an event in another process --------------------------------------------------------------

    def arm(self, path: str) -> None:
        """Leaves a watch."""
        self._client.ensure_path(path)
        self._fired.clear()
        self._client.get(path, self._receive)

    def _receive(self, event: Any) -> None:
        self._fired_at = time.monotonic_ns()
        self._fired.set()

    def trigger(self, path: str) -> int:
        """Sets a node; when it began to."""
        started = time.monotonic_ns()
        self._client.set(path, DATA)
        return started

    def heard(self) -> int:
        """When the watch function was called."""
        if not self._fired.wait(30):
            raise RuntimeError("no event came")
        return self._fired_at

    # --- growth -------------------------------------------------------------------------------------

    def grow(self, case: str, size: int, host: int, fill_s: float) -> int:
        """Makes the surroundings of a size; of which size they became."""
        from .growth import Growing

        self._growing = self._growing or Growing(self._client, host)
        reached: int = self._growing.prepare(case, size, fill_s)
        return reached

    def grown(self, case: str, size: int, count: int) -> List[float]:
        """Seconds and processor time of an operation in surroundings that were made."""
        times: List[float] = self._growing.measure(case, size, count)
        return times

    # --- several processes at once ----------------------------------------------------------------

    def repeat(self, what: str, until_ns: int) -> int:
        """How often it could do something before a moment (CLOCK_MONOTONIC)."""
        lock = self._client.Lock(ROOT + "/contended", self._name)
        count = 0
        while time.monotonic_ns() < until_ns:
            if what == "lock":
                with lock:
                    pass
            elif what == "set":
                self._client.set(self._bench.node, DATA)
            else:
                self._client.get(self._bench.node)
            count += 1
        return count

    def increment(self, path: str, times: int) -> int:
        """Counts up a node under a lock, from the start of this process; what it was in the end."""
        self.start()
        self._client.ensure_path(path)
        lock = self._client.Lock(path + "-lock", self._name)
        value = 0
        for _ in range(times):
            with lock:
                value = int(self._client.get(path)[0] or 0) + 1
                self._client.set(path, b"%d" % value)
        return value

    def stop(self) -> None:
        """Closes the session."""
        if self._client is not None:
            self._client.stop()


def main(url: str, name: str) -> None:
    """Until the input ends."""
    worker = Worker(url, name)
    for line in sys.stdin:
        command: Dict[str, Any] = json.loads(line)
        answer: Dict[str, Any] = {}
        try:
            answer["value"] = getattr(worker, command.pop("do"))(**command)
        except Exception as error:  # the driver decides what that means
            answer["error"] = "%s: %s" % (type(error).__name__, error)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
