"""Runs a copy, a mirror or a comparison, and says how it goes."""

from __future__ import annotations

import itertools
import os
import signal
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from kazoo.exceptions import UnimplementedError

from fk_kazoo.moving.apply import OVERWRITE, Applier
from fk_kazoo.moving.client_endpoint import ClientEndpoint, Rule
from fk_kazoo.moving.compare import compare
from fk_kazoo.moving.dump import DumpEndpoint, writing
from fk_kazoo.moving.mirror import Mirror
from fk_kazoo.moving.records import EPHEMERAL, Record, ancestors

from .endpoints import AnyEndpoint, Endpoints, is_url
from .failures import FAILED, NOT_FOUND, REFUSED, Failure
from .formats import counted, echo
from .progress import ProgressReporter
from .target import ZK, Target, require

SHOWN = 50
"""Differences and ephemerals that are printed; with --json all differences are."""


class Wanted(NamedTuple):
    """What was asked for. ``paths``: what was named; nothing stands for everything."""

    source: Target
    destination: Target
    paths: List[str]
    rules: List[Rule]
    on_conflict: str
    dry_run: bool
    verify: bool
    mirror: bool
    cut_over: bool
    delete: bool
    watches: str

    @property
    def roots(self) -> List[str]:
        """Where to begin."""
        return self.paths or ["/"]


def copy(wanted: Wanted) -> int:
    """Copies; the exit code."""
    source = wanted.source
    with Endpoints() as endpoints, ProgressReporter(source.quiet, total(source, wanted.roots)) as progress:
        reading = endpoints.open(source, rules=wanted.rules)
        roots = of_dump(reading, wanted.paths) or wanted.roots
        missing = [root for root, found in zip(wanted.paths, reading.lookup(wanted.paths)) if found is None]
        if missing:
            raise Failure("there is no node %s in %s" % (missing[0], source.url), NOT_FOUND)
        if not is_url(wanted.destination.url):
            return _to_file(wanted, reading, roots, progress)
        if wanted.dry_run and _is_absent(wanted.destination):
            return _only_counted(source, reading, roots)
        writing = endpoints.open(wanted.destination, make=not wanted.dry_run)
        assert isinstance(writing, ClientEndpoint)
        conflicts = OVERWRITE if wanted.mirror else wanted.on_conflict
        with Applier(writing, conflicts, wanted.dry_run, progress, _listed(source)) as applier:
            following = _started(wanted, reading, writing, applier, roots) if wanted.mirror else None
            applier.above(_above(reading, roots))
            applier.apply(reading.walk(roots))
            counts = applier.finish()._asdict()
            if following is not None:
                return _follow(wanted, following, counts)
        report: Dict[str, Any] = {**counts, "dry_run": wanted.dry_run}
        if wanted.verify and not wanted.dry_run:
            return _verified(source, report, reading, writing, roots, progress)
    _summary(source, report)
    return 0


def _above(reading: AnyEndpoint, roots: List[str]) -> List[Record]:
    above = sorted({one for root in roots for one in ancestors(root)})
    return [one for one in reading.lookup(above) if one is not None] if above else []


def _started(
    wanted: Wanted, reading: AnyEndpoint, writing: ClientEndpoint, applier: Applier, roots: List[str]
) -> Mirror:
    """A mirror that watches. With watches of each node where the source has no others, if it was not said which."""
    assert isinstance(reading, ClientEndpoint)
    each_node = wanted.watches == "node"
    following = Mirror(reading, writing, applier, roots, wanted.delete, each_node)
    try:
        following.begin()
    except UnimplementedError:
        if wanted.watches == "tree":
            raise Failure("%s has no watches of whole trees: give --watches node" % wanted.source.url) from None
        following.end()
        following = Mirror(reading, writing, applier, roots, wanted.delete, True)
        following.begin()
    return following


def of_dump(side: AnyEndpoint, paths: Sequence[str]) -> List[str]:
    """What a dump holds, where nothing was named."""
    return side.roots if isinstance(side, DumpEndpoint) and not paths else []


def total(target: Target, roots: List[str]) -> Optional[int]:
    """How many nodes the source has, where it says so at no cost."""
    if roots != ["/"] or not target.is_zookeeper:
        return None
    try:
        with target.client() as client:
            if client.chroot:
                return None
            lines = client.command(b"srvr").splitlines()
    except Exception:  # nobody's loss but the bar's
        return None
    return next((int(line.split(":")[1]) for line in lines if line.startswith("Node count:")), None)


def _is_absent(target: Target) -> bool:
    try:
        if not target.url.lower().startswith(ZK):
            require(target.deployment)
    except Failure:
        return True
    return False


def _listed(target: Target) -> Callable[[str], None]:
    """Says which ephemerals are left out: the first of them, and then how many."""
    numbers = itertools.count(1)

    def list_skipped(path: str) -> None:
        number = next(numbers)
        if number <= SHOWN:
            target.info("left out, ephemeral: %s" % path)
        elif number == SHOWN + 1:
            target.info("left out: more ephemerals; they are counted")

    return list_skipped


def _to_file(wanted: Wanted, reading: AnyEndpoint, roots: List[str], progress: ProgressReporter) -> int:
    source, path = wanted.source, wanted.destination.url
    if wanted.dry_run:
        return _only_counted(source, reading, roots)
    if os.path.lexists(path) and wanted.on_conflict != OVERWRITE:
        raise Failure("%s is there already; --on-conflict overwrite replaces it" % path, REFUSED)
    if os.path.lexists(path) and not os.path.isfile(path):  # root could put a file in the place of a device
        raise Failure("%s is no file, and nothing else is replaced" % path, REFUSED)
    path = os.path.realpath(path)
    list_skipped, created, ephemerals = _listed(source), 0, 0
    with writing(path, source.url, roots) as file:
        for record in itertools.chain(_above(reading, roots), reading.walk(roots)):
            if record.kind == EPHEMERAL:
                ephemerals += 1
                list_skipped(record.path)
                continue
            file.add(record)
            created += 1
            progress("nodes", 1)
    report: Dict[str, Any] = {"created": created, "ephemerals": ephemerals, "bytes": os.path.getsize(path)}
    if wanted.verify:
        return _verified(source, report, reading, DumpEndpoint(path), roots, progress)
    _summary(source, report)
    return 0


def _only_counted(target: Target, reading: AnyEndpoint, roots: List[str]) -> int:
    list_skipped, counts = _listed(target), {"created": 0, "ephemerals": 0}
    for record in reading.walk(roots):
        if record.kind == EPHEMERAL:
            list_skipped(record.path)
        counts["ephemerals" if record.kind == EPHEMERAL else "created"] += 1
    _summary(target, {**counts, "dry_run": True})
    return 0


def _follow(wanted: Wanted, following: Mirror, counts: Dict[str, int]) -> int:
    target = wanted.source
    target.info("copied: %s; mirroring" % _words(counts))
    ended: List[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    try:
        if not wanted.cut_over:
            following.follow_until(lambda: bool(ended))
            target.info("ended; mirrored: %s" % counted(following.changes, "change"))
            return 0
        left = following.cut_over(target.info)
    finally:
        signal.signal(signal.SIGTERM, before)
        following.end()
    report = {**counts, "mirrored": following.changes, "empty": True}
    if not left and not target.as_json:
        url = wanted.destination.url
        echo("the mirror is empty and every node is equal: cut over now, FK_KAZOO_URL=%s" % url)
        return 0
    return differences(target, report, [one._asdict() for one in left])


def _verified(
    target: Target,
    report: Dict[str, Any],
    source: AnyEndpoint,
    destination: AnyEndpoint,
    roots: List[str],
    progress: ProgressReporter,
) -> int:
    found = [one._asdict() for one in compare(source, destination, roots, False, progress)]
    if not target.as_json:
        _summary(target, report)
    return differences(target, report, found)


def differences(target: Target, report: Dict[str, Any], found: List[Dict[str, Any]]) -> int:
    """Prints what a comparison found; the exit code."""
    if target.as_json:
        target.json({**report, "equal_sides": not found, "differences": found})
    elif found:
        for one in found[:SHOWN]:
            echo("%s: %s" % (one["path"], one["what"]))
        if len(found) > SHOWN:
            echo("and %d more; --json shows all" % (len(found) - SHOWN))
        target.info(counted(len(found), "difference"))
    else:
        echo("every node is equal")
    return FAILED if found else 0


def _summary(target: Target, report: Dict[str, Any]) -> None:
    if target.as_json:
        target.json(report)
    else:
        echo(("would be copied: " if report.get("dry_run") else "copied: ") + _words(report))


def _words(report: Dict[str, Any]) -> str:
    """In the order of the fields; what there was none of is left out, but for what was created."""
    texts: Dict[str, Callable[[int], str]] = {
        "created": lambda count: "%s created" % counted(count, "node"),
        "equal": lambda count: "%d there already" % count,
        "skipped": lambda count: "%d different and left" % count,
        "overwritten": lambda count: "%d overwritten" % count,
        "ephemerals": lambda count: "%s left out" % counted(count, "ephemeral"),
        "raised": lambda count: "counters raised by %d" % count,
        "bytes": lambda count: counted(count, "byte"),
    }
    return ", ".join(text(report[name]) for name, text in texts.items() if report.get(name) or name == "created")
