"""``watch``: changes as they happen."""

from __future__ import annotations

import json
import queue
import time
from typing import Any, Optional

import click

from .failures import NOT_FOUND, Failure
from .formats import echo
from .target import NodePath, Target, with_target


@click.command("watch")
@click.argument("path", type=NodePath(), default=".")
@click.option("--recursive", "-r", is_flag=True, help="Everything below it, too.")
@click.option("--count", "-n", type=click.IntRange(min=1), help="End after so many changes.")
@with_target
def watch_command(target: Target, path: str, recursive: bool, count: Optional[int]) -> None:
    """Print changes as they happen, until Ctrl-C. With --json, one object in each line.

    \b
    fk-kazoo watch /app --recursive
    fk-kazoo watch /app/config -n 1 && echo changed
    """
    from fk_kazoo.requests import AddWatchMode

    mode = AddWatchMode.PERSISTENT_RECURSIVE if recursive else AddWatchMode.PERSISTENT
    events: "queue.Queue[Any]" = queue.Queue()
    with target.client() as client:
        if client.exists(path) is None and path == "/":
            raise Failure("the chroot is not there", NOT_FOUND)

        def state(now: Any) -> None:
            events.put(str(now))

        client.add_listener(state)
        client.add_watch(path, events.put, mode)
        target.info("watching %s" % path)
        left = count
        try:
            while left is None or left > 0:
                event = events.get()
                if isinstance(event, str):
                    target.info("%s connection %s" % (time.strftime("%H:%M:%S"), event))
                    if event == "CONNECTED":
                        client.add_watch(path, events.put, mode)
                elif event.path is not None:
                    _show(target, event)
                    left = None if left is None else left - 1
        finally:
            client.remove_listener(state)


def _show(target: Target, event: Any) -> None:
    kind = str(event.type).lower()
    if target.as_json:
        echo(json.dumps({"time_ms": int(time.time() * 1000), "event": kind, "path": event.path}))
    else:
        echo("%s  %-8s %s" % (time.strftime("%H:%M:%S"), kind, event.path))
