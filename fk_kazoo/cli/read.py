"""``ls``, ``tree``, ``get``, ``stat``, ``find``: the commands that read nodes."""

from __future__ import annotations

import fnmatch
import re
import sys
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

import click

from .formats import Size, data_fields, echo, printable, size, write_whole
from .target import NodePath, Target, with_target

AT_ONCE = 500


def stats_of(client: Any, paths: List[str]) -> Iterator[Tuple[str, Any]]:
    """The Stat of each node that is there, with many requests on their way."""
    from fk_kazoo.moving.records import chunks

    for some in chunks(paths, AT_ONCE):
        for path, answer in [(path, client.exists_async(path)) for path in some]:
            stat = answer.get()
            if stat is not None:
                yield path, stat


def walk(client: Any, root: str, depth: Optional[int] = None) -> Iterator[Tuple[str, int]]:
    """Paths and how deep they are below the root, in order, the root first. NoNodeError if it is not there."""
    from kazoo.exceptions import NoNodeError

    from fk_kazoo.moving.records import join

    waiting = [(root, 0)]
    while waiting:
        path, at = waiting.pop()
        try:
            names = client.get_children(path) if depth is None or at < depth else []
        except NoNodeError:
            if at == 0:
                raise
            continue
        yield path, at
        waiting.extend((join(path, name), at + 1) for name in sorted(names, reverse=True))


def stat_fields(stat: Any) -> Dict[str, Any]:
    """A Stat as JSON: zxids as numbers, times in ms since the epoch."""
    return {
        "czxid": stat.czxid,
        "mzxid": stat.mzxid,
        "pzxid": stat.pzxid,
        "ctime_ms": stat.ctime,
        "mtime_ms": stat.mtime,
        "version": stat.version,
        "cversion": stat.cversion,
        "aversion": stat.aversion,
        "ephemeral_owner": stat.ephemeralOwner,
        "bytes": stat.dataLength,
        "children": stat.numChildren,
    }


def moment(at_ms: int) -> str:
    """Local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


@click.command("ls")
@click.argument("path", type=NodePath(), default=".")
@click.option("--long", "-l", "long", is_flag=True, help="With kind, children, size, version, time.")
@click.option("--recursive", "-R", is_flag=True, help="Everything below, as whole paths.")
@with_target
def ls_command(target: Target, path: str, long: bool, recursive: bool) -> None:
    """List a node's children.

    \b
    fk-kazoo ls /app
    fk-kazoo ls -l --url zk://zk1:2181 /app
    fk-kazoo ls -R --json | jq length
    """
    from fk_kazoo.moving.records import join

    with target.client() as client:
        if recursive:
            found = [one for one, at in walk(client, path) if at]
        else:
            found = [join(path, name) for name in sorted(client.get_children(path))]
        shown = found if recursive else [one.rpartition("/")[2] for one in found]
        if not long:
            if target.as_json:
                target.json(shown)
            else:
                echo("".join(one + "\n" for one in shown), nl=False)
            return
        names = dict(zip(found, shown))
        rows = [(names[one], stat) for one, stat in stats_of(client, found)]
    if target.as_json:
        target.json([{"name": name, **stat_fields(stat)} for name, stat in rows])
        return
    for name, stat in rows:
        kind = "e" if stat.ephemeralOwner else "-"
        line = "%s %7d %9s v%-5d %s  %s" % (
            kind,
            stat.numChildren,
            size(stat.dataLength),
            stat.version,
            moment(stat.mtime),
            name,
        )
        echo(line)


@click.command("tree")
@click.argument("path", type=NodePath(), default=".")
@click.option("--depth", "-d", type=click.IntRange(min=1), help="So many levels.")
@with_target
def tree_command(target: Target, path: str, depth: Optional[int]) -> None:
    """Show the nodes below a node as a tree.

    \b
    fk-kazoo tree /app --depth 2
    """
    with target.client() as client:
        if target.as_json:
            target.json([one for one, _ in walk(client, path, depth)])
            return
        echo(path)
        for prefix, last, name in _branches(client, path, depth, ""):
            echo("%s%s%s" % (prefix, "└── " if last else "├── ", name))


def _branches(client: Any, path: str, depth: Optional[int], prefix: str) -> Iterator[Tuple[str, bool, str]]:
    from kazoo.exceptions import NoNodeError

    from fk_kazoo.moving.records import join

    waiting: List[Tuple[str, str, bool, int]] = []

    def push(parent: str, before: str, at: int) -> None:
        names = sorted(client.get_children(parent), reverse=True)
        waiting.extend((join(parent, name), before, number == 0, at) for number, name in enumerate(names))

    push(path, prefix, 1)
    while waiting:
        now, before, last, at = waiting.pop()
        yield before, last, now.rpartition("/")[2]
        if depth is None or at < depth:
            try:
                push(now, before + ("    " if last else "│   "), at + 1)
            except NoNodeError:
                pass  # it went meanwhile


@click.command("get")
@click.argument("path", type=NodePath())
@click.option("--output", "-o", type=click.Path(), metavar="FILE", help="Into a file.")
@with_target
def get_command(target: Target, path: str, output: Optional[str]) -> None:
    """Print a node's data, byte for byte; on a terminal, with escapes for what would drive it.

    \b
    fk-kazoo get /app/config
    fk-kazoo get /app/config | jq .debug=true | fk-kazoo set /app/config -
    """
    with target.client() as client:
        data, stat = client.get(path)
    if target.as_json:
        target.json({"path": path, **data_fields(data), "stat": stat_fields(stat)})
        return
    data = data or b""
    if output:
        write_whole(output, data)
        return
    sys.stdout.flush()
    if sys.stdout.isatty():
        text = data.decode("utf-8", "backslashreplace")
        click.echo(printable(text, "\n\t"), nl=not text.endswith("\n"))
        return
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@click.command("stat")
@click.argument("path", type=NodePath())
@with_target
def stat_command(target: Target, path: str) -> None:
    """Show a node's Stat.

    \b
    fk-kazoo stat /app/config
    """
    from kazoo.exceptions import NoNodeError

    with target.client() as client:
        stat = client.exists(path)
    if stat is None:
        raise NoNodeError(path)
    fields = stat_fields(stat)
    if target.as_json:
        target.json({"path": path, **fields})
        return
    for name, value in fields.items():
        text = str(value)
        if name.endswith("zxid") or name == "ephemeral_owner":
            text = hex(value)
        elif name.endswith("_ms"):
            name, text = name[:-3], "%s  (%d)" % (moment(value), value)
        echo("%-16s %s" % (name, text))


@click.command("find")
@click.argument("path", type=NodePath(), default=".")
@click.option("--name", "-n", metavar="GLOB", help="Whose last part matches.")
@click.option("--data", metavar="REGEX", help="Whose data match.")
@click.option("--larger", type=Size(), metavar="SIZE", help="With more data than 100k, 1m.")
@click.option("--ephemeral", is_flag=True, help="Ephemerals only.")
@click.option("--leaf", is_flag=True, help="Without children only.")
@with_target
def find_command(
    target: Target,
    path: str,
    name: Optional[str],
    data: Optional[str],
    larger: Optional[int],
    ephemeral: bool,
    leaf: bool,
) -> None:
    """Find nodes by name, data, size and kind.

    \b
    fk-kazoo find /app --name 'item-*' --larger 100k
    fk-kazoo find --ephemeral
    """
    from fk_kazoo.moving.records import EPHEMERAL

    from .endpoints import Endpoints

    try:
        pattern = re.compile(data.encode()) if data is not None else None
    except re.error as error:
        raise click.UsageError("--data %r: %s" % (data, error)) from None
    found = []
    with target.client() as client, Endpoints() as endpoints:
        for record, stat in endpoints.of_client(client, target, info=False).walk_with_stats([path], acls=False):
            held = record.data or b""
            if (
                (name is not None and not fnmatch.fnmatchcase(record.path.rpartition("/")[2], name))
                or (larger is not None and len(held) <= larger)
                or (ephemeral and record.kind != EPHEMERAL)
                or (leaf and stat.numChildren)
                or (pattern is not None and not pattern.search(held))
            ):
                continue
            if target.as_json:
                found.append(record.path)
            else:
                echo(record.path)
    if target.as_json:
        target.json(found)
