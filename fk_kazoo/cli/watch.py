"""``watch``: changes as they happen."""

from __future__ import annotations

import json
import queue
import time
from typing import Any, Optional

import click

from .failures import NOT_FOUND, Failure
from .place import NodePath, Place, with_target
from .words import tell


@click.command("watch")
@click.argument("path", type=NodePath(), default=".")
@click.option("--recursive", "-r", is_flag=True, help="Everything below it, too.")
@click.option("--count", "-n", type=click.IntRange(min=1), help="End after so many changes.")
@with_target
def watch_command(place: Place, path: str, recursive: bool, count: Optional[int]) -> None:
    """Print changes as they happen, until Ctrl-C. With --json, one object in each line.

    \b
    fk-kazoo watch /app --recursive
    fk-kazoo watch /app/config -n 1 && echo changed
    """
    from fk_kazoo.requests import AddWatchMode

    mode = AddWatchMode.PERSISTENT_RECURSIVE if recursive else AddWatchMode.PERSISTENT
    seen: "queue.Queue[Any]" = queue.Queue()
    with place.client() as client:
        if client.exists(path) is None and path == "/":
            raise Failure("the chroot is not there", NOT_FOUND)

        def state(now: Any) -> None:
            seen.put(str(now))

        client.add_listener(state)
        client.add_watch(path, seen.put, mode)
        place.say("watching %s" % path)
        left = count
        try:
            while left is None or left > 0:
                event = seen.get()
                if isinstance(event, str):
                    place.say("%s connection %s" % (time.strftime("%H:%M:%S"), event))
                    if event == "CONNECTED":
                        client.add_watch(path, seen.put, mode)
                elif event.path is not None:
                    _show(place, event)
                    left = None if left is None else left - 1
        finally:
            client.remove_listener(state)


def _show(place: Place, event: Any) -> None:
    kind = str(event.type).lower()
    if place.as_json:
        tell(json.dumps({"time_ms": int(time.time() * 1000), "event": kind, "path": event.path}))
    else:
        tell("%s  %-8s %s" % (time.strftime("%H:%M:%S"), kind, event.path))
