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

from .failures import FAILED, Failure
from .place import Place, on_place, require

SPARKS = "▁▂▃▄▅▆▇█"
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
    Row("requests_per_s", "requests a second", "%.1f"),
    Row("sessions", "sessions", "%d"),
    Row("holders", "of these, with ephemerals", "%d"),
    Row("queue", "waiting in the queue", "%d"),
    Row("read_ms", "a read from here, ms", "%.2f"),
    Row("server_ms", "latency it says, ms", "%.2f"),
    Row("usd_per_hour", "cost an hour, USD", "%.4f"),
]


@click.command("top")
@click.option("--interval", type=click.FloatRange(min=0.1, max=3600), default=2.0, show_default=True, metavar="SECONDS",
              help="Between two looks.")  # fmt: skip
@click.option("--count", "-n", type=click.IntRange(min=1), help="End after so many looks.")
@on_place
def top_command(place: Place, interval: float, count: Optional[int]) -> None:
    """Show writes, sessions, queue, latency and cost an hour, live, until Ctrl-C.

    In a pipe a line for each look; with --json an object in each. What a place does not tell is -, or null: reads go
    past the functions, so requests are a ZooKeeper's alone; a queue is AWS's or a ZooKeeper's. The cost is an estimate
    of the writes and sessions on AWS, without reads; looking costs a few reads each time, too.

    \b
    fk-kazoo top
    fk-kazoo top --url zk://zk1:2181 --interval 1
    fk-kazoo top -n 10 --json > figures
    """
    with _meter(place) as look, _screen(place) as show:
        before: Optional[Dict[str, float]] = None
        left = count
        while left is None or left > 0:
            begun = time.monotonic()
            found = look()
            fields = _fields(place, before, found)
            if before is not None:
                show(fields)
                left = None if left is None else left - 1
            before = found
            if left != 0:
                time.sleep(max(0.0, begun + interval - time.monotonic()))


def _fields(place: Place, before: Optional[Dict[str, float]], now: Dict[str, float]) -> Fields:
    """What is shown of two looks, one after the other."""
    fields: Fields = {row.field: now.get(row.field) for row in ROWS}
    if before is None:
        return fields
    passed_s = now["at_s"] - before["at_s"]
    for rate, total in (("writes_per_s", "zxid"), ("requests_per_s", "requests")):
        # A ZooKeeper begins with another epoch when another server leads.
        if total in now and now[total] >= before[total] and now[total] - before[total] < 1 << 31:
            fields[rate] = (now[total] - before[total]) / passed_s
    if place.url.lower().startswith("aws:"):
        fields["usd_per_hour"] = _usd(fields["writes_per_s"] or 0.0, now["sessions"], now["holders"])
    elif not place.is_zookeeper:
        fields["usd_per_hour"] = 0.0 if place.url.lower().startswith("local:") else None
    return fields


def _usd(writes_per_s: float, sessions: float, holders: float) -> float:
    from fk_kazoo.commands.cost_figures import FIGURES, PRICES

    load = Load(0, writes_per_s * 86_400, int(sessions), int(min(holders, sessions)), inboxes=int(sessions))
    return sum(daily(load, FIGURES, PRICES["current"]).values()) / 24


# --- looking --------------------------------------------------------------------------------------

Look = Callable[[], Dict[str, float]]


@contextlib.contextmanager
def _meter(place: Place) -> Iterator[Look]:
    with contextlib.ExitStack() as stack:
        inner: Callable[[Any], Dict[str, float]] = _of_zookeeper
        if not place.is_zookeeper:
            require(place.deployment)
            inner = _of_deployment(place, stack)
        client = stack.enter_context(place.client())

        def look() -> Dict[str, float]:
            begun = time.monotonic()
            client.exists("/")
            now = time.monotonic()
            return {"at_s": now, "read_ms": (now - begun) * 1000, **inner(client)}

        yield look


def _of_zookeeper(client: Any) -> Dict[str, float]:
    """By ``srvr``, which every server answers unless it was told not to."""
    fields = dict(line.partition(": ")[::2] for line in client.command(b"srvr").splitlines())
    try:
        latency = float(fields["Latency min/avg/max"].split("/")[1])
        return {
            "zxid": int(fields["Zxid"], 16),
            "requests": int(fields["Received"]),
            "sessions": int(fields["Connections"]),
            "queue": int(fields["Outstanding"]),
            "server_ms": latency,
        }
    except (KeyError, ValueError, IndexError):
        raise Failure("the ZooKeeper does not answer 'srvr': add it to 4lw.commands.whitelist", FAILED) from None


def _of_deployment(place: Place, stack: contextlib.ExitStack) -> Callable[[Any], Dict[str, float]]:
    from .inside import Inside

    inside = stack.enter_context(Inside(place.deployment))
    waiting = _queue(place) if place.deployment.scheme == "aws" else None

    def look(client: Any) -> Dict[str, float]:
        queued = {} if waiting is None else {"queue": float(waiting())}
        return {**{name: float(value) for name, value in inside.activity()._asdict().items()}, **queued}

    return look


def _queue(place: Place) -> Callable[[], int]:
    from fk_backend.providers.aws import names
    from fk_backend.providers.aws.cloud import Cloud, explained

    url = place.deployment
    queues = Cloud(None, url.option("region"), url.option("endpoint_url")).client("sqs")
    with explained():
        queue = queues.get_queue_url(QueueName=names.writes_queue(url.deployment))["QueueUrl"]
    kinds = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def waiting() -> int:
        with explained():
            found = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=kinds)["Attributes"]
        return sum(int(found.get(kind, 0)) for kind in kinds)

    return waiting


# --- showing --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _screen(place: Place) -> Iterator[Callable[[Fields], None]]:
    if place.as_json or not sys.stdout.isatty():
        yield lambda fields: _line(place, fields)
        return
    from rich.console import Console
    from rich.live import Live

    history: Deque[Fields] = collections.deque(maxlen=KEPT)
    with Live(console=Console(highlight=False), auto_refresh=False, screen=False) as live:

        def show(fields: Fields) -> None:
            history.append(fields)
            live.update(_table(place, list(history), live.console.width), refresh=True)

        yield show


def _line(place: Place, fields: Fields) -> None:
    at_ms = int(time.time() * 1000)
    if place.as_json:
        click.echo(json.dumps({"time_ms": at_ms, **fields}))
        return
    known = ["%s %s" % (row.title, row.form % fields[row.field]) for row in ROWS if fields[row.field] is not None]
    click.echo("%s  %s" % (time.strftime("%H:%M:%S"), "; ".join(known)))


def _table(place: Place, history: List[Fields], width: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    wide = width >= WIDE
    table = Table(box=None, pad_edge=False, title=Text(place.url + time.strftime("  %H:%M:%S")), title_justify="left")
    table.add_column("now", justify="right", no_wrap=True, min_width=6)
    if wide:
        table.add_column("most", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis")
    if wide:
        table.add_column("", no_wrap=True, overflow="crop")
    for row in ROWS:
        values = [one[row.field] for one in history]
        known = [one for one in values if one is not None]
        cells = ["-" if values[-1] is None else row.form % values[-1], row.title]
        if wide:
            cells.insert(1, row.form % max(known) if known else "")
            cells.append(_sparks(known[-24:]))
        table.add_row(*cells)
    return table


def _sparks(values: List[float]) -> str:
    most = max(values, default=0)
    return "".join(SPARKS[min(7, int(one / most * 7.999))] if most > 0 else SPARKS[0] for one in values)
