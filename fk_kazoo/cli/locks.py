"""``locks``: who holds, and who waits, by the names that kazoo's and Curator's recipes give."""

from __future__ import annotations

import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import click

from .formats import data_fields, echo
from .read import stats_of
from .target import NodePath, Target, with_target

RECIPES: List[Tuple[str, "re.Pattern[str]", bool]] = [
    # (what it is, names, whether only one of them holds at a time)
    ("lock", re.compile(r"[0-9a-f]{32}__lock__(\d{10})"), True),
    ("read lock", re.compile(r"[0-9a-f]{32}__rlock__(\d{10})"), False),
    ("write lock", re.compile(r"[0-9a-f]{32}__(?:wlock|lock)__(\d{10})"), True),
    ("lock (Curator)", re.compile(r"_c_[0-9a-f-]{36}-(?:lock|lease|latch)-(\d{10})"), True),
    ("read lock (Curator)", re.compile(r"_c_[0-9a-f-]{36}-__READ__(\d{10})"), False),
    ("write lock (Curator)", re.compile(r"_c_[0-9a-f-]{36}-__WRIT__(\d{10})"), True),
    ("party", re.compile(r"[0-9a-f]{32}-()[^/]*"), False),
]
QUEUED = re.compile(r"(?P<queue>entry-\d{3}-\d{10})|(?P<curator>queue-(?:\d{3}-)?\d{10})")
"""What kazoo's Queue and LockingQueue, and Curator's queues call what is in them."""


@click.command("locks")
@click.argument("path", type=NodePath(), default=".")
@with_target
def locks_command(target: Target, path: str) -> None:
    """Show the locks and elections at and below PATH: who holds, who waits, since when, and the fence.

    The fence is the holder's czxid: it grows with each holder, so what is written with it can refuse an older one.

    \b
    fk-kazoo locks /locks
    """
    with target.client() as client:
        found = coordination(client, path).locks
    if target.as_json:
        target.json(found)
        return
    if not found:
        target.info("no locks or elections at or below %s" % path)
    now_ms = time.time() * 1000
    for lock in found:
        echo("%s  (%s)" % (lock["path"], lock["recipe"]))
        for one in lock["contenders"]:
            words = ("holds" if one["holds"] else "waits", (now_ms - one["since_ms"]) / 1000, one["fence"])
            echo("    %-5s %8.0f s  fence 0x%x  %s" % (*words, one.get("data") or one.get("base64") or ""))


class Found(NamedTuple):
    """Locks and elections as they are printed with --json; queues: path, recipe, length; and how far it was looked."""

    locks: List[Dict[str, Any]]
    queues: List[Dict[str, Any]]
    examined: int
    cut: bool


def coordination(client: Any, root: str, most: Optional[int] = None) -> Found:
    """What recipes left at and below a node, by the names that they give; of ``most`` nodes. NoNodeError."""
    from kazoo.exceptions import NoAuthError, NoNodeError

    from fk_kazoo.moving.records import join

    found = Found([], [], 0, False)
    waiting = [root]
    while waiting:
        if found.examined == most:
            return found._replace(cut=True)
        path = waiting.pop()
        found = found._replace(examined=found.examined + 1)
        try:
            names = client.get_children(path)
        except (NoNodeError, NoAuthError):
            if path == root:
                raise
            continue
        lock, queued = _lock(client, path, names), [QUEUED.fullmatch(name) for name in names]
        if lock is not None:
            found.locks.append(lock)
        recipes = {one.lastgroup or "" for one in queued if one}
        if recipes:
            found.queues.append({"path": path, "recipe": min(recipes), "length": sum(map(bool, queued))})
        waiting.extend(join(path, name) for name in sorted(names, reverse=True) if not QUEUED.fullmatch(name))
    return found


def _lock(client: Any, path: str, names: Sequence[str]) -> Optional[Dict[str, Any]]:
    from kazoo.exceptions import NoNodeError

    from fk_kazoo.moving.records import join

    kinds = ((name, *_kind(name)) for name in names)
    ranked = sorted((int(number or 0), name, recipe, exclusive) for name, recipe, number, exclusive in kinds if recipe)
    if not ranked:
        return None
    stats = dict(stats_of(client, [join(path, name) for _, name, _, _ in ranked]))
    contenders = []
    exclusive_before = 0
    for position, (_, name, _, is_exclusive) in enumerate(ranked):
        stat = stats.get(join(path, name))
        if stat is None:
            continue
        try:
            data = client.get(join(path, name))[0]
        except NoNodeError:
            continue
        contenders.append(
            {
                "name": name,
                "holds": position == 0 if is_exclusive else not exclusive_before,
                "since_ms": stat.ctime,
                "session": "0x%x" % stat.ephemeralOwner,
                "fence": stat.czxid,
                **data_fields(data),
            }
        )
        exclusive_before += is_exclusive
    return {"path": path, "recipe": ranked[0][2], "contenders": contenders}


def _kind(name: str) -> Tuple[str, str, bool]:
    for recipe, pattern, is_exclusive in RECIPES:
        found = pattern.fullmatch(name)
        if found:
            return recipe, found[1], is_exclusive
    return "", "", False
