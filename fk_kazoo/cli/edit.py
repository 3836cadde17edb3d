"""``edit``: a node's data in an editor."""

from __future__ import annotations

import os
import tempfile

import click

from .failures import REFUSED, Failure
from .target import NodePath, Target, with_target


@click.command("edit")
@click.argument("path", type=NodePath())
@with_target
def edit_command(target: Target, path: str) -> None:
    """Edit a node's data in $VISUAL or $EDITOR. Who changed it meanwhile is not overwritten.

    \b
    EDITOR=nano fk-kazoo edit /app/config
    """
    from kazoo.exceptions import BadVersionError

    with target.client() as client:
        data, stat = client.get(path)
    before = data or b""
    number, name = tempfile.mkstemp(prefix="fk-kazoo-", suffix="-" + path.rpartition("/")[2])
    with open(number, "wb") as file:
        file.write(before)
    keep = False
    try:
        click.edit(filename=name)
        with open(name, "rb") as file:
            after = file.read()
        if after == before:
            target.info("nothing was changed")
            return
        keep = True
        try:
            with target.client() as client:
                client.set(path, after, stat.version)
        except BadVersionError:
            raise Failure("somebody changed %s meanwhile. What you wrote is in %s" % (path, name), REFUSED) from None
        keep = False
    finally:
        if keep:
            target.info("what you wrote is in %s" % name)
        else:
            os.unlink(name)
