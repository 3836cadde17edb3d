"""``sessions``: who is connected, and what each owns."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List

import click

from .failures import REFUSED, Failure
from .place import Place, require, with_target
from .words import tell


@click.command("sessions")
@with_target
def sessions_command(place: Place) -> None:
    """List sessions: id, timeout, from where, identities, the ephemerals that each owns.

    On local:// every session is on this machine; aws:// and postgresql:// do not know from where. A ZooKeeper
    has to allow the four letter words cons and dump (4lw.commands.whitelist).

    \b
    fk-kazoo sessions
    fk-kazoo sessions --json | jq '.[].ephemerals'
    """
    found = sessions_of(place)
    if place.as_json:
        place.json(found)
        return
    if not found:
        place.say("nobody is connected")
    for one in found:
        who = " ".join(one["identities"] or [])
        timeout = "" if one["timeout_ms"] is None else "%g s" % (one["timeout_ms"] / 1000)
        tell("%s  %-8s %s %s" % (one["session"], timeout, one["from"] or "from: not known", who))
        for path in one["ephemerals"]:
            tell("    %s" % path)
    if found and not any(one["from"] for one in found):
        place.say("from where a session is connected is not known to %s://" % place.url.partition("://")[0])


def sessions_of(place: Place) -> List[Dict[str, Any]]:
    """Each as it is printed with --json. Failure, BackendError, and what kazoo raises."""
    return list(_of_zookeeper(place)) if place.is_zookeeper else of_deployment(place)


def of_deployment(place: Place) -> List[Dict[str, Any]]:
    """Of a deployment. Its ``from`` is None where the provider can't tell."""
    from .inside import Inside

    url = place.deployment
    require(url)
    with Inside(url) as inside:
        return inside.sessions()


_CONNECTION = re.compile(r" /(\S+?)\[.*?sid=(0x[0-9a-f]+).*?to=(\d+)")


def _of_zookeeper(place: Place) -> Iterator[Dict[str, Any]]:
    with place.client() as client:
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
