"""``sessions``: who is connected, and what each owns."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Dict, Iterator, List

import click

from .failures import REFUSED, Failure
from .place import Place, on_place


@click.command("sessions")
@on_place
def sessions_command(place: Place) -> None:
    """List sessions: id, timeout, identities, the ephemerals that each owns; of a ZooKeeper, also from where.

    A ZooKeeper has to allow the four letter words cons and dump (4lw.commands.whitelist).

    \b
    fk-kazoo sessions
    fk-kazoo sessions --json | jq '.[].ephemerals'
    """
    found = list(_of_zookeeper(place) if place.is_zookeeper else _of_deployment(place))
    if place.as_json:
        place.json(found)
        return
    for one in found:
        who = " ".join(one["identities"] or [])
        timeout = "" if one["timeout_ms"] is None else "%g s" % (one["timeout_ms"] / 1000)
        click.echo("%s  %-8s %s %s" % (one["session"], timeout, one["from"] or "", who))
        for path in one["ephemerals"]:
            click.echo("    %s" % path)


def _of_deployment(place: Place) -> List[Dict[str, Any]]:
    from fk_backend import layout
    from fk_backend.functions.loading import partition_rows, partition_sorts
    from fk_backend.ports import SESSIONS
    from fk_backend.providers import provider

    from .place import require

    url = place.deployment
    require(url)

    async def read() -> List[Dict[str, Any]]:
        there = await provider(url.scheme).administer(url.deployment, url.settings(), False)
        try:
            found = []
            for _, item in await partition_rows(there.ports, SESSIONS, layout.sessions_partition(url.namespace)):
                session = layout.session_of(item)
                partition = layout.ephemerals_partition(url.namespace, session.id)
                found.append(
                    {
                        "session": "0x%x" % session.id,
                        "timeout_ms": session.timeout_ms,
                        "from": None,
                        "identities": [one.scheme + ":" + one.id.partition(":")[0] for one in session.identities],
                        "ephemerals": sorted(await partition_sorts(there.ports, partition)),
                    }
                )
            return found
        finally:
            await there.close()

    return asyncio.run(read())


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
    for line in dumped.partition("Sessions with Ephemerals")[2].splitlines():
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
