"""``doctor``: whether a deployment, or a ZooKeeper, does what it is for, from end to end."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any, Callable, Dict, Iterator, List, Tuple

import click

from .failures import FAILED, explained
from .place import Place, leave, on_place, require

ANSWER_S = 10.0


@click.command("doctor")
@on_place
def doctor_command(place: Place) -> int:
    """Check a place from end to end: reach, a write, a read, a watch, a sequence, a session's end, leftovers.

    Makes nodes below /fk-kazoo-doctor-…, and removes them. Exit code 1 if a check does not hold.

    \b
    fk-kazoo doctor
    fk-kazoo doctor --url zk://zk1:2181
    """
    if not place.is_zookeeper:
        require(place.deployment)
    results: List[Dict[str, Any]] = []
    for name, check in _checks(place):
        begun = time.monotonic()
        try:
            said, good = check(), True
        except Exception as error:
            found = explained(error)
            if found is None and not isinstance(error, AssertionError):
                raise
            said, good = found[0] if found else str(error), False
        took_ms = (time.monotonic() - begun) * 1000
        results.append({"check": name, "good": good, "ms": round(took_ms, 1), "says": said})
        if not place.as_json:
            click.echo("%-3s %-12s %8.1f ms  %s" % ("ok" if good else "!!", name, took_ms, said))
        if not good:
            break
    if place.as_json:
        place.json(results)
    return 0 if all(one["good"] for one in results) else FAILED


def _checks(place: Place) -> Iterator[Tuple[str, Callable[[], str]]]:
    """Each is looked at before the next one; what they made is removed at the end."""
    from kazoo import __version__ as kazoo_version  # type: ignore[attr-defined] # kazoo has it

    from fk_kazoo import __version__

    held: List[Any] = []
    root = "/fk-kazoo-doctor-" + uuid.uuid4().hex

    def reach() -> str:
        held.append(_another(place))
        return "connected, session 0x%x" % held[0].client_id[0]

    try:
        yield "versions", lambda: "fk-kazoo %s, kazoo %s" % (__version__, kazoo_version)
        yield "reach", reach
        if not held:
            return
        client = held[0]
        yield "write", lambda: "created at zxid 0x%x" % _created(client, root)
        yield "read", lambda: _read(client, root)
        yield "watch", lambda: _watched(client, root)
        yield "sequence", lambda: _sequence(client, root)
        yield "session", lambda: _session(place, client, root)
        yield "leftovers", lambda: _leftovers(client, root)
    finally:
        for one in held:
            try:
                one.delete(root, recursive=True)
            except Exception:  # what went wrong was said before
                pass
            leave(one)


def _another(place: Place) -> Any:
    from .place import connect

    return connect(place.url, place.auth, place.timeout_s, False)


def _created(client: Any, root: str) -> int:
    client.create(root, b"1")
    return int(client.exists(root).czxid)


def _read(client: Any, root: str) -> str:
    assert client.get(root)[0] == b"1", "what was written was not read"
    return "what was written is read"


def _watched(client: Any, root: str) -> str:
    fired = threading.Event()
    client.get(root, watch=lambda _: fired.set())
    client.set(root, b"2")
    assert fired.wait(ANSWER_S), "a watch did not fire within %d s" % ANSWER_S
    return "a watch fires"


def _sequence(client: Any, root: str) -> str:
    first, second = (client.create(root + "/n-", b"", sequence=True) for _ in range(2))
    assert first < second, "sequential names do not grow"
    return "names grow"


def _session(place: Place, client: Any, root: str) -> str:
    other = _another(place)
    try:
        other.create(root + "/mine", b"", ephemeral=True)
    finally:
        leave(other)
    assert client.exists(root + "/mine") is None, "an ephemeral outlived its session"
    return "an ephemeral goes with its session"


def _leftovers(client: Any, root: str) -> str:
    before_ms = (time.time() - 3600) * 1000
    found = []
    for name in client.get_children("/"):
        if name.startswith("fk-kazoo-doctor-") and "/" + name != root:
            stat = client.exists("/" + name)
            if stat is not None and stat.ctime < before_ms:
                found.append("/" + name)
    assert not found, "left by a check that was killed: fk-kazoo rm -r %s" % " ".join(found)
    return "none"
