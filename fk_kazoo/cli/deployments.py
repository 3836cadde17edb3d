"""``deployments`` and ``destroy``."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from argparse import Namespace
from typing import Any, Dict, Iterator, List, Optional

import click

from fk_kazoo.commands import destroy
from fk_kazoo.interrupts import defer_interrupts

from .failures import NOT_FOUND, REFUSED, USAGE, Failure
from .formats import size
from .read import moment
from .target import Target, known

LOCAL = "local://"


def _there() -> List[Dict[str, Any]]:
    from fk_backend.providers.local import files

    home = files.home()
    found = []
    for name in sorted(os.listdir(home)) if os.path.isdir(home) else []:
        target = files.Place(os.path.join(home, name))
        if name.startswith("."):
            continue
        try:
            os.stat(target.state)
            sizes = list(_stats(target.directory))
            bytes_, in_use = sum(one.st_size for one in sizes), _in_use(target)
        except PermissionError:  # somebody else's; that it is there is no secret
            sizes, bytes_, in_use = [os.stat(target.directory)], None, None
        except OSError:
            continue
        found.append(
            {
                "url": LOCAL + name,
                "bytes": bytes_,
                "changed_ms": int(max(one.st_mtime for one in sizes) * 1000),
                "in_use": in_use,
                "directory": target.directory,
            }
        )
    return found


def _stats(directory: str) -> Iterator[os.stat_result]:
    for one in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):  # a client's that went
            yield os.stat(os.path.join(directory, one))


def _in_use(target: Any) -> bool:
    """Whether some process is its host now. A lock is only looked at: taking it would be in others' way."""
    import fcntl
    import struct

    try:
        with open(target.lock, "rb") as file:
            asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
            answer = fcntl.fcntl(file, fcntl.F_GETLK, asked)
            return bool(struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK)
    except FileNotFoundError:
        return False


@click.command("deployments")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def deployments_command(as_json: bool) -> None:
    """List the deployments of this machine, with their sizes.

    Closed: it is another user's, who does not share it with you.

    \b
    fk-kazoo deployments
    """
    found = _there()
    if as_json:
        Target("", as_json=True).json(found)
        return
    for one in found:
        state = {None: "closed", False: "idle", True: "in use"}[one["in_use"]]
        shown = "" if one["bytes"] is None else size(one["bytes"])
        click.echo("%9s  %-6s  %s  %s" % (shown, state, moment(one["changed_ms"]), one["url"]))
    if not found:
        click.echo("there is none; the first client of local://NAME makes it", err=True)


@click.command("destroy")
@click.argument("name", metavar="NAME|local://NAME")
@click.option("--region", help="On AWS; default: as for every AWS tool (AWS_REGION, AWS_PROFILE).")
@click.option("--endpoint-url", help="Of an emulator; default: AWS_ENDPOINT_URL, or AWS itself.")
@click.option("--force", is_flag=True, help="Also if there are nodes in it.")
@click.option("--yes", is_flag=True, help="Does not ask.")
def destroy_command(name: str, region: Optional[str], endpoint_url: Optional[str], force: bool, yes: bool) -> int:
    """Remove a deployment, and its data: NAME on AWS, or local://NAME.

    One that holds nodes needs --force.

    \b
    fk-kazoo destroy local://old --force
    fk-kazoo destroy test --region eu-central-1
    """
    if not name.startswith(LOCAL):
        if "://" in name:
            raise click.UsageError("%s: name one on AWS, or local://NAME" % name)
        given = Namespace(name=name, region=region, endpoint_url=endpoint_url, force=force, yes=yes)
        return destroy.call(given)
    return _destroy_local(name, force, yes)


def _destroy_local(url: str, force: bool, yes: bool) -> int:
    from fk_backend.providers.local import files

    found = known(url)
    if found.chroot:
        raise click.UsageError("%s: name the deployment alone, without a path" % url)
    target = files.locate(found.deployment)
    try:
        os.stat(target.state)
    except (FileNotFoundError, NotADirectoryError):
        raise Failure("there is no deployment %s" % url, NOT_FOUND) from None
    if _in_use(target):
        raise Failure("%s is in use: end its clients first" % url, REFUSED)
    if not force and _nodes(url):
        raise Failure("%s holds nodes: give --force" % url, REFUSED)
    if not yes:
        if not sys.stdin.isatty():
            raise Failure("there is nobody to ask: give --yes", USAGE)
        click.echo("This removes %s, with everything in it. There is no way back." % target.directory, err=True)
        if click.prompt("Type the deployment's name to go on", err=True) != found.deployment:
            raise Failure("nothing was removed")
    gone = os.path.join(os.path.dirname(target.directory), ".gone-%d-%d" % (os.getpid(), time.time_ns()))
    with defer_interrupts():  # half of its files would be left
        os.rename(target.directory, gone)  # at once: nobody sees half of it
        shutil.rmtree(gone)
    click.echo("removed: %s" % url)
    return 0


def _nodes(url: str) -> List[str]:
    with Target(url).client() as client:
        return [name for name in client.get_children("/") if name != "zookeeper"]
