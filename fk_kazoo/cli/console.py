"""``console``: a page to look at a place."""

from __future__ import annotations

import sys
import webbrowser

import click

from .failures import NOT_FOUND, Failure
from .target import Target, with_target


@click.command("console")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="On 127.0.0.1; default: a free one."
)
@click.option("--write", is_flag=True, help="Data may be edited; else it is read-only.")
@click.option("--open", "show", is_flag=True, help="Open a browser.")
@with_target
def console_command(target: Target, port: int, write: bool, show: bool) -> None:
    """Serve a page to look at a place: tree, data, changes as they happen, sessions, locks, queues; until Ctrl-C.

    It listens on this machine's loopback interface only, and answers to nobody but who has the link that it prints.
    Whoever has the link sees what --auth lets you see.

    \b
    fk-kazoo console
    fk-kazoo console --url zk://zk1:2181 --write --open
    """
    from fk_kazoo.console.server import Console

    with target.client() as client:
        if client.exists("/") is None:
            raise Failure("the chroot is not there", NOT_FOUND)
        console = Console(target, client, port, write)
        if target.as_json:
            target.json({"link": console.link})
        else:
            click.echo(console.link)
        sys.stdout.flush()
        target.info("%s; Ctrl-C ends it" % ("data may be changed" if write else "read-only"))
        if show:
            webbrowser.open(console.link)
        console.serve()
