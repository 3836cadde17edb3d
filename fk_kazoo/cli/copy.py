"""``copy`` and ``compare``: between ZooKeepers, deployments and dump files."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import click

from fk_backend.errors import BadUrl
from fk_kazoo.moving.apply import ON_CONFLICT
from fk_kazoo.moving.client_endpoint import Rule
from fk_kazoo.moving.compare import compare
from fk_kazoo.moving.records import CONTAINER, TTL, is_below, join

from .copying import Wanted, copy, differences, of_dump, total
from .endpoints import Endpoints, is_same, is_url, where
from .failures import REFUSED, Failure
from .formats import Duration
from .progress import ProgressReporter
from .target import NodePath, Target, credential


def _options(function: Any) -> Any:
    for option in (
        click.option("--quiet", "-q", is_flag=True, help="Print results and errors only."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--timeout",
            type=click.FloatRange(min=1, max=3600),
            default=60.0,
            metavar="SECONDS",
            help="Of connecting, and of the session.",
        ),
        click.option(
            "--auth",
            multiple=True,
            envvar="FK_KAZOO_AUTH",
            metavar="SCHEME:CREDENTIAL",
            help="On both sides, as in digest:user:password; may be repeated.",
        ),
        click.argument("paths", nargs=-1, type=NodePath()),
        click.argument("destination", metavar="DST"),
        click.argument("source", metavar="SRC"),
    ):
        function = option(function)
    return function


@click.command("copy")
@_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option(
    "--on-conflict",
    type=click.Choice(ON_CONFLICT),
    default="fail",
    help="Where a node of DST differs: end there, leave it, or make it as in SRC.",
)
@click.option("--verify", is_flag=True, help="Then compare node by node.")
@click.option("--mirror", is_flag=True, help="Then go on: what changes in SRC is changed in DST, until Ctrl-C.")
@click.option("--cut-over", is_flag=True, help="With --mirror: end when DST has everything, compared node by node.")
@click.option("--delete", is_flag=True, help="With --mirror: what only DST has below the paths is removed.")
@click.option(
    "--watches",
    type=click.Choice(["auto", "tree", "node"]),
    default="auto",
    help="Of --mirror: one for the tree, or two for each node, where SRC is a ZooKeeper before 3.6.",
)
@click.option(
    "--container", multiple=True, metavar="GLOB", help="Paths that are containers: a ZooKeeper does not tell."
)
@click.option("--ttl", multiple=True, metavar="GLOB=DURATION", help="Paths with a TTL, likewise.")
def copy_command(
    source: str,
    destination: str,
    paths: Tuple[str, ...],
    auth: Sequence[str],
    timeout: float,
    as_json: bool,
    quiet: bool,
    container: Sequence[str],
    ttl: Sequence[str],
    **options: Any,
) -> int:
    """Copy nodes from SRC to DST: data, ACLs, kinds, sequence counters.

    SRC and DST are each a ZooKeeper (zk://HOST:PORT/CHROOT), a deployment, or a dump file. PATHS: what to copy;
    everything if none is named. What DST has already is left alone if it is equal, so the same command again goes on
    where it was ended. Ephemerals are listed and left out. See docs/migration.md.

    \b
    fk-kazoo copy zk://zk1:2181 local://app --verify
    fk-kazoo copy zk://zk1:2181 tree.gz /app
    fk-kazoo copy tree.gz 'aws://prod?region=eu-central-1'
    fk-kazoo copy zk://zk1:2181 local://app --mirror --cut-over
    """
    if (options["cut_over"] or options["delete"]) and not options["mirror"]:
        raise click.UsageError("--cut-over and --delete belong to --mirror")
    places = _places(source, destination, auth, timeout, as_json, quiet)
    if options["mirror"] and (options["dry_run"] or not is_url(source) or not is_url(destination)):
        raise click.UsageError("--mirror is between two URLs, and no dry run")
    named = _named(paths)
    _refuse_into_itself(source, destination, named)
    return copy(Wanted(places[0], places[1], named, _rules(container, ttl), **options))


@click.command("compare")
@_options
def compare_command(
    source: str,
    destination: str,
    paths: Tuple[str, ...],
    auth: Sequence[str],
    timeout: float,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare SRC and DST node by node: data, ACLs, kinds, sequence counters. Exit code 1 where they differ.

    \b
    fk-kazoo compare zk://zk1:2181 local://app /app
    fk-kazoo compare tree.gz local://app
    """
    named = _named(paths)
    places = _places(source, destination, auth, timeout, as_json, quiet)
    with Endpoints() as endpoints, ProgressReporter(quiet, total(places[0], named or ["/"])) as progress:
        one, other = (endpoints.open(target) for target in places)
        roots = named or of_dump(one, named) or of_dump(other, named) or ["/"]
        found = [each._asdict() for each in compare(one, other, roots, True, progress)]
    return differences(places[0], {}, found)


# --- what was asked for ---------------------------------------------------------------------------


def _named(paths: Sequence[str]) -> List[str]:
    """Without those that are below another one."""
    wanted = sorted(set(paths))
    return [one for one in wanted if not any(one != other and is_below(one, other) for other in wanted)]


def _places(
    source: str, destination: str, auth: Sequence[str], timeout: float, as_json: bool, quiet: bool
) -> List[Target]:
    for given in auth:
        credential(given)
    (one, below), (other, chroot) = where(source), where(destination)
    if below == chroot and is_same(one, other):
        raise Failure("SRC and DST are the same place", REFUSED)
    for text in (source, destination):
        if text.startswith(("local:", "aws:", "zk:", "memory:")) and not is_url(text):
            raise BadUrl("%r: write %s://%s" % (text, *text.replace("/", "").split(":", 1)))
    return [Target(text, auth, timeout, as_json, quiet) for text in (source, destination)]


def _refuse_into_itself(source: str, destination: str, paths: Sequence[str]) -> None:
    """What is copied into a part of itself would never end."""
    (one, below), (other, chroot) = where(source), where(destination)
    for path in paths or ["/"]:
        root, copied = (join(at or "/", path.lstrip("/")).rstrip("/") or "/" for at in (below, chroot))
        if is_below(copied, root) and is_same(one, other):
            raise Failure("DST is in what is to be copied: %s of %s" % (root, min(one)), REFUSED)


def _rules(container: Sequence[str], ttl: Sequence[str]) -> List[Rule]:
    rules = [(pattern, CONTAINER, 0) for pattern in container]
    for one in ttl:
        pattern, equals, duration = one.rpartition("=")
        if not equals:
            raise click.UsageError("--ttl is GLOB=DURATION, as in '/cache/*=10m'")
        rules.append((pattern, TTL, Duration().convert(duration, None, None)))
    return rules
