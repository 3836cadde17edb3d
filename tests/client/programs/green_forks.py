"""A fork among greenlets, which cross it: ``green_forks.py KIND HANDLER URL``; HANDLER is ``default`` or ``own``.

Everything is patched. What is left in the child of the parent's connection must not take the parent's answers, nor end
the child's own session.
"""

from __future__ import annotations

import sys
import warnings

KIND, HANDLER, URL = sys.argv[1:]
warnings.simplefilter("ignore")

if KIND == "gevent":
    from gevent import monkey

    monkey.patch_all()
else:
    import eventlet

    eventlet.monkey_patch()

import os  # noqa: E402 (after the patching)
import time  # noqa: E402
from typing import Any, List  # noqa: E402

from kazoo.exceptions import ConnectionClosedError  # noqa: E402

from fk_kazoo.client import KazooClient  # noqa: E402


def make() -> Any:
    """A client with the handler that was asked for."""
    if HANDLER == "default":
        return KazooClient(URL)
    if KIND == "gevent":
        from kazoo.handlers.gevent import SequentialGeventHandler as Handler
    else:
        from kazoo.handlers.eventlet import SequentialEventletHandler as Handler
    return KazooClient(URL, handler=Handler())


def use(client: Any, name: str, states: List[str]) -> None:
    """Calls for a second, each of which is answered at once, with the hub free in between."""
    path = client.create("/%s" % name, b"")
    until = time.monotonic() + 1.0
    version = 0
    while time.monotonic() < until:
        started = time.monotonic()
        version += 1
        assert client.set(path, b"x").version == version
        time.sleep(0.005)
        assert time.monotonic() - started < 1.5, (name, time.monotonic() - started)
    assert states == [], (name, states)


def main() -> None:
    """The program."""
    client = make()
    client.start()
    states: List[str] = []
    client.add_listener(lambda state: states.append(str(state)))
    pid = os.fork()
    if pid == 0:
        code = 1
        if KIND == "eventlet":
            eventlet.hubs.use_hub()  # it has a child go on with its parent's
        try:
            try:
                client.exists("/")
                raise AssertionError("the parent's session was used")
            except ConnectionClosedError:
                pass
            time.sleep(0.2)  # what is left of the parent's runs, if it can
            client.start()
            states.clear()
            use(client, "child", states)
            client.stop()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    use(client, "parent", states)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.01)
    assert status == 0, status
    assert states == [] and client.exists("/child") and client.exists("/parent")
    client.stop()
    print("done", flush=True)


main()
