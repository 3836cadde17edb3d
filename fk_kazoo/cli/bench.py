"""``bench``: a short measurement from here."""

from __future__ import annotations

import time
import uuid
from typing import Any, Callable, Dict, List

import click

from .formats import Size
from .target import Target, with_target


@click.command("bench")
@click.option("--seconds", type=click.FloatRange(min=0.1, max=600), default=2.0, show_default=True, help="Of each.")
@click.option("--size", "size_bytes", type=Size(1_000_000), default="1k", show_default=True,
              help="Of the data: 100, 1k, 100k.")  # fmt: skip
@with_target
def bench_command(target: Target, seconds: float, size_bytes: int) -> None:
    """Measure get, set, create and delete, one after the other, and pipelined sets. Makes nodes and removes them.

    What one client sees from this machine; on AWS it costs what its requests cost.

    \b
    fk-kazoo bench --seconds 5 --size 10k
    """
    root, data = "/fk-kazoo-bench-" + uuid.uuid4().hex, b"x" * size_bytes
    found: Dict[str, Dict[str, float]] = {}
    with target.client(make=True) as client:
        client.create(root, data)
        try:
            found["get"] = _measured(lambda: client.get(root), seconds)
            found["set"] = _measured(lambda: client.set(root, data), seconds)

            def both() -> None:
                client.create(root + "/n", data)
                client.delete(root + "/n")

            found["create, delete"] = _measured(both, seconds)
            found["set, pipelined"] = _pipelined(client, root, data, seconds)
        finally:
            client.delete(root, recursive=True)
    if target.as_json:
        target.json(found)
        return
    click.echo("%-16s %10s %9s %9s %9s" % ("", "a second", "p50 ms", "p95 ms", "p99 ms"))
    for name, one in found.items():
        latency = ["%9.2f" % one[key] if key in one else "%9s" % "" for key in ("p50_ms", "p95_ms", "p99_ms")]
        click.echo("%-16s %10.0f %s" % (name, one["per_second"], " ".join(latency)))


def _measured(call: Callable[[], Any], seconds: float) -> Dict[str, float]:
    took: List[float] = []
    started = now = time.perf_counter()
    while now - started < seconds:
        call()
        before, now = now, time.perf_counter()
        took.append((now - before) * 1000)
    took.sort()
    at = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    figures = {name: round(took[min(len(took) - 1, int(len(took) * part))], 3) for name, part in at.items()}
    return {"per_second": round(len(took) / (now - started), 1), **figures}


def _pipelined(client: Any, path: str, data: bytes, seconds: float) -> Dict[str, float]:
    from collections import deque

    pending: Any = deque()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        pending.append(client.set_async(path, data))
        if len(pending) >= 100:
            pending.popleft().get()
            count += 1
    while pending:
        pending.popleft().get()
        count += 1
    return {"per_second": round(count / (time.perf_counter() - started), 1)}
