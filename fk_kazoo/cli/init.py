"""``init``: what has to be done before the first client."""

from __future__ import annotations

from argparse import Namespace
from typing import Optional, Sequence

import click

from fk_kazoo.commands import init


@click.command("init")
@click.argument("url", metavar="URL")
@click.option("--group", metavar="GROUP", help="Of local://: who is in this group may use the deployment, too.")
@click.option("--role", multiple=True, metavar="ROLE", help="Lets that role use it; may be given again.")
@click.option("--namespace", metavar="NAME", help="Of --role: that namespace alone, which is nobody else's then.")
def init_command(url: str, group: Optional[str], role: Sequence[str], namespace: Optional[str]) -> int:
    """Make a deployment in a PostgreSQL database, or open one of this machine to a group.

    Again is no error: what is of an earlier version is brought up to date. postgresql://: makes the schema fk_kazoo in
    the database at URL. Whoever URL logs in as owns it. Clients log in as a role of their own, which this lets read,
    and write by the schema's functions only. local://: its files, and all that come, are readable and writable for the
    group; it is made if there is none. Users of the group set FK_KAZOO_HOME to the same directory.

    \b
    fk-kazoo init postgresql://owner@db.example/app --role app
    fk-kazoo init postgresql://owner@db.example/app --role billing --namespace bills
    fk-kazoo init local://app --group developers
    """
    return init.call(Namespace(url=url, group=group, role=list(role), namespace=namespace))
