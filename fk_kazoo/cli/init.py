"""``init``: a PostgreSQL database becomes a deployment."""

from __future__ import annotations

from argparse import Namespace
from typing import Sequence

import click

from fk_kazoo.commands import init


@click.command("init")
@click.argument("url", metavar="URL")
@click.option("--role", multiple=True, metavar="ROLE", help="Lets that role use it; may be given again.")
def init_command(url: str, role: Sequence[str]) -> int:
    """Make a deployment in a PostgreSQL database, or bring it up to date.

    Makes the schema fk_kazoo in the database at URL. Whoever URL logs in as owns it. Clients log in as a role of their
    own, which this lets read, and write by the schema's functions only.

    \b
    fk-kazoo init postgresql://owner@db.example/app --role app
    """
    return init.call(Namespace(url=url, role=list(role)))
