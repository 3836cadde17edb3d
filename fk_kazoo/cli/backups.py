"""``backup`` and ``restore``."""

from __future__ import annotations

from argparse import Namespace
from typing import Sequence

import click

from fk_kazoo.commands import backup, restore


@click.command("backup")
@click.argument("url", metavar="URL")
@click.argument("file", metavar="FILE")
@click.option("--namespace", multiple=True, metavar="NS", help="Only this one; may be repeated; default: all.")
def backup_command(url: str, file: str, namespace: Sequence[str]) -> int:
    """Write all that a deployment holds to a file.

    The nodes of the deployment are written to FILE, which must not be there yet, while clients go on: each namespace as
    it was at one zxid. Sessions, watches and inboxes are not in it. A ZooKeeper: fk-kazoo copy.

    \b
    fk-kazoo backup local://app app.backup
    """
    return backup.call(Namespace(url=url, file=file, namespace=list(namespace)))


@click.command("restore")
@click.argument("file", metavar="FILE")
@click.argument("url", metavar="URL")
def restore_command(file: str, url: str) -> int:
    """Fill a new deployment from a backup.

    The deployment at URL has to be empty; clients are refused until it is done. Their sessions are new ones; what
    sessions owned when the backup was taken is gone, as if they had expired.

    \b
    fk-kazoo restore app.backup local://app2
    """
    return restore.call(Namespace(url=url, file=file))
