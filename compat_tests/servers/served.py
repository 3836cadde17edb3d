"""What is served: an app that makes its client where apps do, and calls it while it answers a request.

``SERVED_CLIENT`` says where: ``module``, when it is imported, so in the server's first process where that loads the app
before it forks, and started again in a worker; or ``worker``, in each process when it is first needed.
``SERVED_HANDLER`` says which handler of kazoo's: ``default``, or ``gevent``.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, Callable, Dict, List

from fk_kazoo.client import KazooClient

URL = os.environ["SERVED_URL"]
locks: Dict[int, Any] = {}
"""By process, made when needed: one that was made before gevent patched would stop all greenlets of its thread."""
clients: Dict[int, Any] = {}
"""By process."""


def _make() -> Any:
    if os.environ.get("SERVED_HANDLER") == "gevent":
        from kazoo.handlers.gevent import SequentialGeventHandler

        return KazooClient(URL, handler=SequentialGeventHandler())
    return KazooClient(URL)


if os.environ["SERVED_CLIENT"] == "module":
    inherited = _make()
    inherited.start()
    inherited.ensure_path("/served")
    clients[os.getpid()] = inherited


def client() -> Any:
    """This process's client, connected."""
    pid = os.getpid()
    with locks.setdefault(pid, threading.Lock()):
        if pid not in clients:
            made = inherited if os.environ["SERVED_CLIENT"] == "module" else _make()
            made.start()
            clients[pid] = made
        return clients[pid]


def work() -> Dict[str, Any]:
    """Each way in which a client is used, and the longest time that one of them took."""
    longest: List[float] = [0.0]

    def timed(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        started = time.monotonic()
        answer = call(*arguments, **options)
        longest[0] = max(longest[0], time.monotonic() - started)
        return answer

    own = client()
    own.ensure_path("/served")
    path = timed(own.create, "/served/n-", b"0", sequence=True)
    notified = threading.Event()
    assert timed(own.get, path, watch=lambda event: notified.set())[0] == b"0"
    assert timed(own.set, path, b"1").version == 1
    assert timed(notified.wait, 5), "the watch function was not called"
    results = [own.set_async(path, b"x") for _ in range(20)]
    assert [timed(result.get, timeout=5).version for result in results] == list(range(2, 22))
    with own.Lock("/lock"):
        held = timed(own.create, "/served/held", ephemeral=True)
        timed(own.delete, held)
    return {"path": path, "pid": os.getpid(), "longest_s": longest[0]}


def application(environ: Dict[str, Any], start_response: Callable[..., Any]) -> List[bytes]:
    """WSGI."""
    try:
        status, answer = "200 OK", work()
    except BaseException as error:
        status, answer = "500 Internal Server Error", {"error": repr(error)}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
