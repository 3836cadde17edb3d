"""``sessions``: who is connected, and what each owns."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List

import click

from .failures import REFUSED, Failure
from .formats import echo
from .target import Target, require, with_target


@click.command("sessions")
@with_target
def sessions_command(target: Target) -> None:
    """List sessions: id, timeout, from where, identities, the ephemerals that each owns.

    On local:// every session is on this machine; aws:// and postgresql:// do not know from where. A ZooKeeper
    has to allow the four letter words cons and dump (4lw.commands.whitelist).

    \b
    fk-kazoo sessions
    fk-kazoo sessions --json | jq '.[].ephemerals'
    """
    found = sessions_of(target)
    if target.as_json:
        target.json(found)
        return
    if not found:
        target.info("nobody is connected")
    for one in found:
        who = " ".join(one["identities"] or [])
        timeout = "" if one["timeout_ms"] is None else "%g s" % (one["timeout_ms"] / 1000)
        echo("%s  %-8s %s %s" % (one["session"], timeout, one["from"] or "from: not known", who))
        for path in one["ephemerals"]:
            echo("    %s" % path)
    if found and not any(one["from"] for one in found):
        target.info("from where a session is connected is not known to %s://" % target.url.partition("://")[0])


def sessions_of(target: Target) -> List[Dict[str, Any]]:
    """Each as it is printed with --json. Failure, BackendError, and what kazoo raises."""
    return list(_of_zookeeper(target)) if target.is_zookeeper else of_deployment(target)


def of_deployment(target: Target) -> List[Dict[str, Any]]:
    """Of a deployment. Its ``from`` is None where the provider can't tell."""
    from .deployment_state import DeploymentState

    url = target.deployment
    require(url)
    with DeploymentState(url) as state:
        return state.sessions()


_CONNECTION = re.compile(r" /(\S+?)\[.*?sid=(0x[0-9a-f]+).*?to=(\d+)")


def _of_zookeeper(target: Target) -> Iterator[Dict[str, Any]]:
    with target.client() as client:
        connections, dumped = client.command(b"cons"), client.command(b"dump")
    for word, answer in (("cons", connections), ("dump", dumped)):
        if "not in the whitelist" in answer or "not executed" in answer:
            raise Failure("the ZooKeeper does not allow %r: add it to 4lw.commands.whitelist" % word, REFUSED)
    known = {found[2]: (found[1], int(found[3])) for found in map(_CONNECTION.match, connections.splitlines()) if found}
    owned: Dict[str, List[str]] = {session: [] for session in known}
    now = ""
    for line in dumped.partition("Sessions with Ephemerals")[2].partition("Connections dump")[0].splitlines():
        if line.startswith("0x"):
            now = line.rstrip(":")
            owned.setdefault(now, [])
        elif line.startswith("\t") and now:
            owned[now].append(line.strip())
    for session, ephemerals in sorted(owned.items()):
        address, timeout_ms = known.get(session, (None, None))
        yield {
            "session": session,
            "timeout_ms": timeout_ms,
            "from": address,
            "identities": None,
            "ephemerals": sorted(ephemerals),
        }
