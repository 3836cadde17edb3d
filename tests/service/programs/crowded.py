"""A client on a disk that fills up when it is told to: ``crowded.py URL``. Reads ``full``, ``room`` and ``stop``.

And ``write PATH COUNT``: it writes there so often, and says how many of them it did itself.

A limit on the size of files stands in for the disk: what goes beyond it can't be written.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import Any, List

from fk_backend.providers.local.direct import DirectWriter
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import StorageFullError


def limit(size: int) -> None:
    """How large files of this process may become."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def main() -> None:
    """The program."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    client = KazooClient(sys.argv[1])
    client.start(timeout=30)
    free = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    wal = os.path.join(os.environ["FK_KAZOO_HOME"], client.deployment.deployment, "state.db-wal")
    done: List[Any] = []
    write = DirectWriter.write

    async def noted(self: Any, *arguments: Any) -> Any:
        written = await write(self, *arguments)
        done.extend([] if written is None else [written])
        return written

    DirectWriter.write = noted  # type: ignore[method-assign]
    print("ready")
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        if line.startswith("write"):
            done.clear()
            _, path, count = line.split()
            try:
                for _ in range(int(count)):
                    client.set(path, bytes(20_000))
                print("ok", len(done))
            except StorageFullError:
                print("ok StorageFullError")
            continue
        limit(os.path.getsize(wal) + 60_000 if line.strip() == "full" else free)
        print("ok")
    client.stop()
    client.close()


main()
