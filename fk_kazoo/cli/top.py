"""``top``: how much is going on, live.

Rule upheld here: what can't be known is shown as not known, and never guessed. A cost is an estimate, and says so.
"""

from __future__ import annotations

import collections
import contextlib
import json
import sys
import time
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional

import click

from fk_kazoo.commands.cost import Load, daily

from .meters import Sample, meter
from .target import Target, with_target

SPARK_CHARS = "▁▂▃▄▅▆▇█"
KEPT = 60
"""Samples that the sparklines and the percentiles are of."""
WIDE = 60
"""Columns from which there is room for more than the numbers of now."""
Fields = Dict[str, Optional[float]]


class Row(NamedTuple):
    """What is shown of a field; ``form`` of its number."""

    field: str
    title: str
    form: str


ROWS = [
    Row("writes_per_s", "writes a second", "%.1f"),
    Row("reads_per_s", "reads a second", "%.1f"),
    Row("read_units_per_s", "read units a second", "%.1f"),
    Row("requests_per_s", "requests a second", "%.1f"),
    Row("invocations_per_s", "invocations of the writer a second", "%.1f"),
    Row("sessions", "sessions", "%d"),
    Row("holders", "of these, with ephemerals", "%d"),
    Row("queue", "waiting in the queue", "%d"),
    Row("read_ms", "a read from here, ms", "%.2f"),
    Row("write_ms", "a write from here, ms", "%.2f"),
    Row("store_ms", "a read of the store, ms, mean", "%.2f"),
    Row("function_ms", "the writer works, ms, median", "%.1f"),
    Row("function_p99_ms", "the writer works, ms, 99 of 100", "%.1f"),
    Row("server_ms", "latency it says, ms", "%.2f"),
    Row("usd_per_hour", "cost an hour, USD", "%.4f"),
]


@click.command("top")
@click.option("--interval", type=click.FloatRange(min=0.1, max=3600), default=2.0, show_default=True, metavar="SECONDS",
              help="Between two looks.")  # fmt: skip
@click.option("--count", "-n", type=click.IntRange(min=1), help="End after so many looks.")
@with_target
def top_command(target: Target, interval: float, count: Optional[int]) -> None:
    """Show writes, reads, sessions, queue, latency and cost an hour, live, until Ctrl-C.

    In a pipe a line for each look; with --json an object in each. What a place does not tell is left out, or null:
    reads go past the functions, so CloudWatch tells of them on AWS, and nobody elsewhere; requests are a ZooKeeper's
    alone. Reads and writes from here are those of this command: on aws:// it writes nothing, elsewhere a node of its
    own at each look. CloudWatch knows the last whole minute, needs cloudwatch:GetMetricData, and is asked once a
    minute, for 0.01 USD an hour; else the line says so. The cost is an estimate, of writes, reads and sessions.

    \b
    fk-kazoo top
    fk-kazoo top --url zk://zk1:2181 --interval 1
    fk-kazoo top -n 10 --json > figures
    """
    with meter(target) as take_sample, _screen(target) as show:
        before: Optional[Sample] = None
        left = count
        while left is None or left > 0:
            started = time.monotonic()
            found = take_sample()
            fields = _fields(target, before, found)
            if before is not None:
                show(fields, found.why)
                left = None if left is None else left - 1
            before = found
            if left != 0:
                time.sleep(max(0.0, started + interval - time.monotonic()))


def _fields(target: Target, before: Optional[Sample], sample: Sample) -> Fields:
    """What is shown of two looks, one after the other. Writes of this command's own are none."""
    now = sample.values
    fields: Fields = {row.field: now.get(row.field) for row in ROWS}
    if before is None:
        return fields
    was = before.values
    passed_s, mine = now["at_s"] - was["at_s"], now.get("mine", 0.0) - was.get("mine", 0.0)
    for rate, total, own in (("writes_per_s", "zxid", mine), ("requests_per_s", "requests", 0.0)):
        # A ZooKeeper begins with another epoch when another server leads.
        if total in now and now[total] >= was[total] and now[total] - was[total] < 1 << 31:
            fields[rate] = max(0.0, now[total] - was[total] - own) / passed_s
    if target.url.lower().startswith("aws:"):
        if "sessions" in now:
            fields["usd_per_hour"] = _usd(fields, now["sessions"], now["holders"])
    elif not target.is_zookeeper:
        fields["usd_per_hour"] = 0.0 if target.url.lower().startswith("local:") else None
    return fields


def _usd(fields: Fields, sessions: float, holders: float) -> float:
    from fk_kazoo.commands.cost_figures import FIGURES, PRICES

    reads, writes = ((fields[one] or 0.0) * 86_400 for one in ("reads_per_s", "writes_per_s"))
    load = Load(reads, writes, int(sessions), int(min(holders, sessions)), inboxes=int(sessions))
    return sum(daily(load, FIGURES, PRICES["current"]).values()) / 24


# --- showing --------------------------------------------------------------------------------------


Show = Callable[[Fields, Dict[str, str]], None]


@contextlib.contextmanager
def _screen(target: Target) -> Iterator[Show]:
    if target.as_json or not sys.stdout.isatty():
        yield _lines(target)
        return
    from rich.console import Console
    from rich.live import Live

    history: Deque[Fields] = collections.deque(maxlen=KEPT)
    with Live(console=Console(highlight=False), auto_refresh=False, screen=False) as live:

        def show(fields: Fields, why: Dict[str, str]) -> None:
            history.append(fields)
            live.update(_table(target, list(history), why, live.console.width), refresh=True)

        yield show


def _lines(target: Target) -> Show:
    said: List[str] = []

    def show(fields: Fields, why: Dict[str, str]) -> None:
        at_ms = int(time.time() * 1000)
        if target.as_json:
            click.echo(json.dumps({"time_ms": at_ms, **fields, "not_known": why}))
            return
        titles = [row.title for row in ROWS if row.field in why]
        if why and not said:
            said.append(target.url)
            target.info("%s: %s" % (", ".join(titles), next(iter(why.values()))))
        known = ["%s %s" % (row.title, row.form % fields[row.field]) for row in ROWS if fields[row.field] is not None]
        click.echo("%s  %s" % (time.strftime("%H:%M:%S"), "; ".join(known)))

    return show


def _table(target: Target, history: List[Fields], why: Dict[str, str], width: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    wide = width >= WIDE
    table = Table(box=None, pad_edge=False, title=Text(target.url + time.strftime("  %H:%M:%S")), title_justify="left")
    table.add_column("now", justify="right", no_wrap=True, min_width=6)
    if wide:
        table.add_column("most", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis")
    if wide:
        table.add_column("", no_wrap=True, overflow="crop")
    for row in ROWS:
        values = [one[row.field] for one in history]
        known = [one for one in values if one is not None]
        if not known and row.field not in why:
            continue
        title = row.title + (": " + why[row.field] if row.field in why else "")
        cells = ["-" if values[-1] is None else row.form % values[-1], title]
        if wide:
            cells.insert(1, row.form % max(known) if known else "")
            cells.append(_sparkline(known[-24:]))
        table.add_row(*cells)
    return table


def _sparkline(values: List[float]) -> str:
    most = max(values, default=0)
    return "".join(SPARK_CHARS[min(7, int(one / most * 7.999))] if most > 0 else SPARK_CHARS[0] for one in values)
