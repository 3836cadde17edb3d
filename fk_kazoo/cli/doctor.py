"""``doctor``: whether a deployment, or a ZooKeeper, does what it is for, from end to end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from typing import Any, Callable, Dict, Iterator, List, Tuple

import click

from .failures import FAILED, Failure, explained
from .formats import echo
from .target import Target, leave, require, with_target

ANSWER_S = 10.0
LEASE_S = 2
"""Session timeout of the process that is killed; a ZooKeeper may take more of it."""
EXPIRY_S = 30.0
"""How long its ephemeral may stay: a ZooKeeper's least timeout is four seconds as it comes, and an AWS tick is late."""
MADE = ("fk-kazoo-doctor-", "fk-kazoo-bench-")
"""What names begin with that are left if a command is killed."""

REACH = {
    "local": "look at the disk and at whose the files are; fk-kazoo deployments lists what is there",
    "aws": "fk-kazoo status says how its stack, queues and functions are; are these the right account and region?",
    "postgresql": "is the server running, and was fk-kazoo init done for the database?",
    "zk": "is it running, and does a firewall let this machine in? srvr by nc HOST PORT shows it",
}
DO = {
    "permissions": "give --auth SCHEME:CREDENTIAL, or a chroot where you may write: URL/PATH",
    "write": "look at the room on the disk, or at fk-kazoo status; a ZooKeeper may be without its majority",
    "read": "somebody else may remove these nodes; else tell us",
    "watch": "look for errors of the functions or the server; fk-kazoo top shows whether they have fallen behind",
    "sequence": "somebody else may remove these nodes; else tell us",
    "session": "look for errors of the functions or the server",
    "lease": "sessions do not expire in time: fk-kazoo status shows the heartbeat function; or is a clock wrong?",
    "leftovers": "remove them with fk-kazoo rm -r",
}
"""What to do where a check does not hold."""


@click.command("doctor")
@with_target
def doctor_command(target: Target) -> int:
    """Check a place from end to end: versions, reach, permissions, a write, a watch, a lease, leftovers and more.

    Makes nodes below /fk-kazoo-doctor-…, and removes them. The lease: a process that owns an ephemeral is killed, and
    it has to go with the session; that takes seconds. Exit code 1 if a check does not hold; then it says what to do.

    \b
    fk-kazoo doctor
    fk-kazoo doctor --url zk://zk1:2181
    """
    if not target.is_zookeeper:
        require(target.deployment)
    results: List[Dict[str, Any]] = []
    for name, check in _checks(target):
        started = time.monotonic()
        try:
            said, good = check(), True
        except Exception as error:
            found = explained(error)
            if found is None:
                raise
            said, good = found[0], False
        took_ms = (time.monotonic() - started) * 1000
        todo = None if good else _todo(target, name)
        results.append({"check": name, "good": good, "ms": round(took_ms, 1), "says": said, "do": todo})
        if not target.as_json:
            echo("%-3s %-12s %8.1f ms  %s" % ("ok" if good else "!!", name, took_ms, said))
            if todo:
                echo("    %s" % todo)
        if not good:
            break
    if target.as_json:
        target.json(results)
    return 0 if all(one["good"] for one in results) else FAILED


def _todo(target: Target, check: str) -> str:
    if check == "reach":
        return REACH["zk" if target.is_zookeeper else target.deployment.scheme]
    return DO[check]


def _checks(target: Target) -> Iterator[Tuple[str, Callable[[], str]]]:
    """Each is looked at before the next one; what they made is removed at the end."""
    from kazoo import __version__ as kazoo_version  # type: ignore[attr-defined] # kazoo has it

    from fk_kazoo import __version__

    held: List[Any] = []
    root = "/fk-kazoo-doctor-" + uuid.uuid4().hex

    def reach() -> str:
        held.append(_another(target))
        return "connected, session 0x%x" % held[0].client_id[0]

    try:
        yield "versions", lambda: "fk-kazoo %s, kazoo %s" % (__version__, kazoo_version)
        yield "reach", reach
        if not held:
            return
        client = held[0]
        yield "permissions", lambda: _permissions(target, client, root)
        yield "write", lambda: "created at zxid 0x%x" % _created(client, root)
        yield "read", lambda: _read(client, root)
        yield "watch", lambda: _watched(client, root)
        yield "sequence", lambda: _sequence(client, root)
        yield "session", lambda: _session(target, client, root)
        yield "lease", lambda: _lease(target, client, root)
        yield "leftovers", lambda: _leftovers(client, root)
    finally:
        for one in held:
            try:
                one.delete(root, recursive=True)
            except Exception:  # what went wrong was said before
                pass
            leave(one)


def _another(target: Target, with_auth: bool = True) -> Any:
    from .target import connect

    return connect(target.url, target.auth if with_auth else [], target.timeout_s, False)


def _permissions(target: Target, client: Any, root: str) -> str:
    """What is done here may be done; and who may not is refused."""
    from kazoo.exceptions import NoAuthError
    from kazoo.security import OPEN_ACL_UNSAFE, make_acl

    client.get_children("/")
    client.create(root, b"", [make_acl("world", "anyone", read=True, delete=True, admin=True)])
    other = _another(target, with_auth=False)
    try:
        other.set(root, b"forbidden")
    except NoAuthError:
        client.set_acls(root, OPEN_ACL_UNSAFE)
        return "may create and delete at the root; what an ACL forbids is refused"
    finally:
        leave(other)
    raise Failure("ACLs are not enforced: a ZooKeeper with skipACL=yes?")


def _hold(good: object, why: str) -> None:
    if not good:
        raise Failure(why)


def _created(client: Any, root: str) -> int:
    path = root + "/written"
    client.create(path, b"1")
    return int(client.exists(path).czxid)


def _read(client: Any, root: str) -> str:
    _hold(client.get(root + "/written")[0] == b"1", "what was written was not read")
    return "what was written is read"


def _watched(client: Any, root: str) -> str:
    fired = threading.Event()
    client.get(root, watch=lambda _: fired.set())
    client.set(root, b"2")
    _hold(fired.wait(ANSWER_S), "a watch did not fire within %d s" % ANSWER_S)
    return "a watch fires"


def _sequence(client: Any, root: str) -> str:
    first, second = (client.create(root + "/n-", b"", sequence=True) for _ in range(2))
    _hold(first < second, "sequential names do not grow")
    return "names grow"


def _session(target: Target, client: Any, root: str) -> str:
    other = _another(target)
    try:
        other.create(root + "/mine", b"", ephemeral=True)
    finally:
        leave(other)
    _hold(client.exists(root + "/mine") is None, "an ephemeral outlived its session")
    return "an ephemeral goes with its session"


def _lease(target: Target, client: Any, root: str) -> str:
    """The ephemeral of a process that can't say goodbye goes when its session's time is over."""
    path, gone = root + "/lease", threading.Event()
    url = target.url if target.is_zookeeper else target.deployment.whole()
    # By variables, since others see a process's arguments.
    environ = {**os.environ, "FK_KAZOO_URL": url, "FK_KAZOO_AUTH": " ".join(map(":".join, target.auth))}
    command = [sys.executable, "-m", "fk_kazoo", "create", "-e", path, "--timeout", str(LEASE_S), "--quiet"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None and owner.stderr is not None
        made = owner.stdout.readline()
        killed_s = time.monotonic()
        owner.kill()
        _hold(made, "its owner could not be started: %s" % owner.stderr.read().strip())
    if client.exists(path, watch=lambda _: gone.set()) is not None:
        _hold(gone.wait(EXPIRY_S), "the ephemeral of a killed process was still there after %d s" % EXPIRY_S)
    return "the ephemeral of a killed process was gone after %.1f s" % (time.monotonic() - killed_s)


def _leftovers(client: Any, root: str) -> str:
    before_ms = (time.time() - 3600) * 1000
    found = []
    for name in client.get_children("/"):
        if name.startswith(MADE) and "/" + name != root:
            stat = client.exists("/" + name)
            if stat is not None and stat.ctime < before_ms:
                found.append("/" + name)
    _hold(not found, "left by a command that was killed: %s" % " ".join(found))
    return "none"
