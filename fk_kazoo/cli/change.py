"""``set``, ``create``, ``rm``, ``acl``, ``cp``: the commands that change nodes."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Any, Iterator, Optional, Tuple

import click

from .failures import NOT_FOUND, REFUSED, Failure
from .formats import VERSION, Duration, acl_text, acls, counted, echo
from .read import walk
from .target import NodePath, Target, make_chroot, read_data, with_target

_FILE = click.option("--file", "-f", type=click.Path(), metavar="FILE", help="The data are a file's.")
_VERSION = click.option(
    "--version", "-v", type=VERSION, default=-1, metavar="N", help="Only if the node has this version."
)


@click.command("set")
@click.argument("path", type=NodePath())
@click.argument("data", required=False)
@_FILE
@_VERSION
@with_target
def set_command(target: Target, path: str, data: Optional[str], file: Optional[str], version: int) -> None:
    """Set a node's data: DATA, or - for standard input.

    \b
    fk-kazoo set /app/config '{"debug": true}'
    fk-kazoo get /a | tr a-z A-Z | fk-kazoo set /b -
    """
    if data is None and file is None:
        raise click.UsageError("which data? Give DATA, - for standard input, or --file")
    value = read_data(data, file)
    with target.client() as client:
        stat = client.set(path, value, version)
    if target.as_json:
        target.json({"path": path, "version": stat.version, "mzxid": stat.mzxid})


@click.command("create")
@click.argument("path")
@click.argument("data", required=False)
@_FILE
@click.option("--ephemeral", "-e", is_flag=True, help="For as long as this command runs: until it is interrupted.")
@click.option("--sequential", "-s", is_flag=True, help="With the parent's next number at the end of its name.")
@click.option("--container", "-c", is_flag=True, help="Removed when its last child is.")
@click.option("--ttl", type=Duration(), metavar="DURATION", help="Removed when unchanged so long: 30s, 5m, 1d.")
@click.option("--acl", "acl", metavar="ACL", help="As in world:anyone:r,digest:USER:HASH:cdrwa.")
@click.option("--parents", "-p", is_flag=True, help="Its parents, too; no error if it is there.")
@with_target
def create_command(
    target: Target,
    path: str,
    data: Optional[str],
    file: Optional[str],
    ephemeral: bool,
    sequential: bool,
    container: bool,
    ttl: Optional[int],
    acl: Optional[str],
    parents: bool,
) -> None:
    """Create a node, and print its path.

    \b
    fk-kazoo create /app/config '{}' --acl world:anyone:r
    fk-kazoo create -s /queue/item- hello
    fk-kazoo create --ttl 10m /cache/x
    fk-kazoo create -e /leases/me          (until Ctrl-C)
    """
    if container + ephemeral + (ttl is not None) > 1 or (container and sequential):
        raise click.UsageError("a node is one of --ephemeral, --container and --ttl, and no container is --sequential")
    path = NodePath.absolute(path)
    path = path if sequential else NodePath().convert(path, None, None)
    allowed = acls(acl) if acl else None
    value = read_data(data, file)
    with target.client(make=True) as client, _until_ended(ephemeral) as ended:
        if parents:
            make_chroot(client)
            client.ensure_path(path.rpartition("/")[0] or "/")
        made = _created(client, path, value, allowed, ephemeral, sequential, container, ttl, parents)
        if target.as_json:
            target.json({"path": made})
        else:
            echo(made)
        if ephemeral:
            target.info("it stays until this is interrupted")
            ended.wait()


@contextlib.contextmanager
def _until_ended(wanted: bool) -> Iterator[threading.Event]:
    """Set by SIGTERM, by which services are ended: then the node goes at once, and not with the session's timeout."""
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set()) if wanted else None
    try:
        yield ended
    finally:
        if wanted:
            signal.signal(signal.SIGTERM, before)


def _created(
    client: Any,
    path: str,
    value: bytes,
    acl: Any,
    ephemeral: bool,
    sequential: bool,
    container: bool,
    ttl: Optional[int],
    parents: bool,
) -> str:
    from kazoo.exceptions import NodeExistsError, NoNodeError

    try:
        if container:
            return str(client.create_container(path, value, acl))
        if ttl is not None:
            return str(client.create_ttl(path, ttl, value, acl, sequential))
        return str(client.create(path, value, acl, ephemeral=ephemeral, sequence=sequential))
    except NodeExistsError:
        if parents:
            return path
        raise
    except NoNodeError:
        above = path.rpartition("/")[0] or "/"
        raise Failure("%s: there is no %s to create it in: give --parents" % (path, above), NOT_FOUND) from None


@click.command("rm")
@click.argument("path", type=NodePath(), nargs=-1, required=True)
@click.option("--recursive", "-r", is_flag=True, help="Everything below it, too.")
@click.option("--force", "-f", is_flag=True, help="What is not there is no error; / may be named.")
@_VERSION
@with_target
def rm_command(target: Target, path: Tuple[str, ...], recursive: bool, force: bool, version: int) -> None:
    """Remove nodes.

    \b
    fk-kazoo rm /app/old
    fk-kazoo rm -r /app
    """
    from kazoo.exceptions import KazooException, NoNodeError

    from fk_kazoo.moving.apply import remove_tree

    count = 0
    with target.client() as client:
        for one in path:
            if one == "/" and not (recursive and force):
                raise Failure("the root can't be removed; rm -r -f / removes everything below it", REFUSED)
            try:
                if recursive:
                    if client.exists(one) is None:
                        raise NoNodeError(one)
                    count += remove_tree(client, one, itself=one != "/")
                else:
                    client.delete(one, version)
                    count += 1
            except NoNodeError:
                if not force:
                    raise NoNodeError(one) from None
            except KazooException as error:
                error.args = error.args or (one,)
                raise
    if target.as_json:
        target.json({"removed": count})
    elif recursive:
        target.info("%s removed" % counted(count, "node"))


@click.command("acl")
@click.argument("path", type=NodePath())
@click.option("--set", "wanted", metavar="ACL", help="SCHEME:ID:PERMISSIONS[,…]; password:USER:PASSWORD:… is hashed.")
@click.option("--recursive", "-R", is_flag=True, help="With --set: of everything below it, too.")
@click.option(
    "--version", "-v", type=VERSION, default=-1, metavar="N", help="Only if the ACL has this version (aversion)."
)
@with_target
def acl_command(target: Target, path: str, wanted: Optional[str], recursive: bool, version: int) -> None:
    """Show a node's ACL, or set it.

    \b
    fk-kazoo acl /app
    fk-kazoo acl /app --set world:anyone:r,password:admin:secret:cdrwa
    """
    with target.client() as client:
        if wanted is not None:
            entries = acls(wanted)
            for one in [each for each, _ in walk(client, path)][::-1] if recursive else [path]:
                client.set_acls(one, entries, version)
        found, stat = client.get_acls(path)
    shown = [(one.perms, one.id.scheme, one.id.id) for one in found]
    if target.as_json:
        fields = [{"perms": perms, "scheme": scheme, "id": name} for perms, scheme, name in shown]
        target.json({"path": path, "aversion": stat.aversion, "acl": fields})
        return
    for entry in shown:
        echo(acl_text(*entry))


@click.command("cp")
@click.argument("source", type=NodePath())
@click.argument("destination", type=NodePath())
@click.option("--recursive", "-r", is_flag=True, help="Everything below it, too.")
@click.option("--overwrite", is_flag=True, help="Nodes that are there become as the source's.")
@with_target
def cp_command(target: Target, source: str, destination: str, recursive: bool, overwrite: bool) -> None:
    """Copy nodes within one place: data, ACL, kind and sequence counter. For two places: fk-kazoo copy.

    \b
    fk-kazoo cp /app/config /app/config.old
    fk-kazoo cp -r /app /backup/app
    """
    from kazoo.exceptions import NoNodeError

    from fk_kazoo.moving.apply import FAIL, OVERWRITE, Applier
    from fk_kazoo.moving.records import is_below

    from .endpoints import Endpoints

    if destination == source or (recursive and is_below(destination, source)):
        raise Failure("%s is %s%s" % (destination, "" if destination == source else "in ", source), REFUSED)
    with Endpoints() as endpoints, target.client() as client:
        parent = destination.rpartition("/")[0]
        if parent and client.exists(parent) is None:
            raise NoNodeError(parent)
        side = endpoints.of_client(client, target)
        found = side.walk([source]) if recursive else (one for one in side.lookup([source]) if one is not None)
        records = (
            one._replace(
                path=destination + one.path[len(source.rstrip("/")) :], creates=one.creates if recursive else 0
            )
            for one in found
        )
        with Applier(
            side, OVERWRITE if overwrite else FAIL, on_skipped=lambda one: target.info("left out, ephemeral: " + one)
        ) as to:
            to.apply(records)
            counts = to.finish()
    if not any(counts):
        raise NoNodeError(source)
    if target.as_json:
        target.json(counts._asdict())
