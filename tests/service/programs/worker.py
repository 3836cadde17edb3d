"""Creates sequential nodes as fast as it can and watches everybody's: ``worker.py URL NAME LOG [PAUSE]``.

By two clients, so that who creates has no watches, and writes beside the host whenever that is possible.
Everything that happens to it goes to LOG, a line each, at once: ``start ZXID``, ``ack TIME PATH DATA``, ``event PATH``,
``state STATE``, ``error …``. Reads lines: ``pause`` (stop creating), ``verify FILE`` (read each ``PATH DATA`` in it,
and answer with those that are not so), ``stop``. PAUSE: seconds between two creates; with it, a lost connection is no
reason to stop (``doubt DATA``).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import ConnectionLoss
from fk_kazoo.requests import AddWatchMode
from fk_kazoo.retry import KazooRetry

BELOW = "/items"


class Log:
    """A file in which every line stays, however the process ends."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, *words: object) -> None:
        """A line."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def verified(client: Any, file: str) -> str:
    """What the file says and the deployment doesn't."""
    with open(file) as lines:
        expected = [line.split() for line in lines]
    reads = KazooRetry(max_tries=-1, max_delay=0.2)
    return " ".join(path for path, data in expected if reads(client.get, path)[0].decode() != data)


def work(client: Any, name: str, log: Log, enough: threading.Event, pause_s: float) -> None:
    """Creates until it is enough, or until anything but success comes back."""
    number = 0
    try:
        while not enough.is_set():
            data = "%s-%d" % (name, number)
            number += 1
            try:
                path = client.create(BELOW + "/n-", data.encode(), sequence=True)
                log("ack", "%.6f" % time.monotonic(), path, data)
            except ConnectionLoss:
                if not pause_s:
                    raise
                log("doubt", data)
            if pause_s:
                enough.wait(pause_s)
    except Exception as error:
        log("error", repr(error))


def main() -> None:
    """The program."""
    url, name, path, *rest = sys.argv[1:]
    pause_s = float(rest[0]) if rest else 0.0
    log = Log(path)
    client: Any = KazooClient(url, timeout=20)
    client.start(timeout=30)
    surely = KazooRetry(max_tries=-1 if pause_s else 1, max_delay=0.2)
    surely(client.ensure_path, BELOW)
    surely(
        client.add_watch, BELOW, lambda event: log("event", event.type, event.path), AddWatchMode.PERSISTENT_RECURSIVE
    )
    creates: Any = KazooClient(url, timeout=20)
    creates.start(timeout=30)
    start, _ = surely(client.create, BELOW + "/start-", sequence=True, include_data=True)
    log("start", start)
    for each in (client, creates):
        each.add_listener(lambda state: log("state", state))
    enough = threading.Event()
    worker = threading.Thread(target=work, args=(creates, name, log, enough, pause_s), daemon=True)
    worker.start()
    print("ready")
    for line in sys.stdin:
        if line.strip() == "pause":
            enough.set()
            worker.join()
            print("ok")
        elif line.startswith("verify "):
            print("ok " + verified(client, line.split()[1]))
        elif line.strip() == "stop":
            for each in (creates, client):
                each.remove_listener(each.state_listeners.pop())
                each.stop()
                each.close()
            print("ok")
            return


main()
