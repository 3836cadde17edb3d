"""Results as a table for people, JSON for programs, and a table and pictures for the documentation."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
from pathlib import Path
from typing import Any, Dict, List, Sequence

from .systems import DATABASES, NAMES, REPOSITORY

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURES = REPOSITORY / "docs" / "pictures"
LABELS = {
    "zookeeper": "ZooKeeper",
    "local": "local://",
    "memory": "memory://",
    "zake": "zake",
    "postgresql": "postgresql://",
    "postgresql-queue": "postgresql://?via=queue",
}


def machine() -> Dict[str, Any]:
    """Where and when: what the figures can't be compared without."""
    import kazoo.version

    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kazoo": kazoo.version.__version__,
        "load": os.getloadavg()[0],
    }


def figure(value: float) -> str:
    """Three digits."""
    return "%.0f" % value if value >= 100 else "%.1f" % value if value >= 10 else "%.2f" % value


def _cell(row: Dict[str, Any], system: str) -> str:
    found = row["systems"].get(system)
    return "" if found is None else figure(found["median"])


def _ratio(row: Dict[str, Any], system: str) -> str:
    found = row["ratios"].get(system)
    if found is None:
        return ""
    text = "%s× (%s–%s)" % (figure(found["median"]), figure(found["low"]), figure(found["high"]))
    if "bar" in found:
        text += " of %g×: %s" % (found["bar"], "yes" if found["reached"] else "no")
    return text


def lines(results: Dict[str, Any]) -> List[List[str]]:
    """The table: a heading and rows."""
    systems = [name for name in NAMES if any(name in row["systems"] for row in results["rows"])]
    ours = ("local", "memory", *DATABASES)
    compared = [name for name in ours if any(name in row["ratios"] for row in results["rows"])]
    table = [["", "unit", *(LABELS[s] for s in systems), *("%s against ZooKeeper" % LABELS[s] for s in compared)]]
    for row in results["rows"]:
        cells = [_cell(row, system) for system in systems]
        table.append([row["row"], row["unit"], *cells, *(_ratio(row, system) for system in compared)])
    for what, found in results["limits"].items():
        text = "%s (%s–%s)" % tuple(figure(found[key]) for key in ("median", "low", "high"))
        table.append(["*limit:* " + what, found["unit"], text, *[""] * (len(table[0]) - 3)])
    return table


def growth_lines(results: Dict[str, Any]) -> List[List[str]]:
    """The table of growth."""
    table = [["", "ms at each size", "ms of processor", "time: most over smallest", "processor", "flat", "on disk"]]
    for row in results["rows"]:
        cells, growth = [], []
        for unit in ("ms", "processor_ms"):
            steps = ["%s: %s" % (_count(each["size"]), figure(each[unit]["median"])) for each in row["sizes"]]
            cells.append(", ".join(steps))
            found = tuple(figure(row["growth"][unit][key]) for key in ("median", "low", "high"))
            growth.append("%s× (%s–%s)" % found)
        disk = ", ".join("%s: %.1f MB" % (_count(int(k)), v / 1e6) for k, v in row["bytes_on_disk"].items())
        flat = ["yes" if row["flat"][unit] else "**no**" for unit in ("processor_ms", "ms")]
        table.append([row["row"], *cells, *growth, "%s (time: %s)" % tuple(flat), disk])
    return table


def _count(value: int) -> str:
    return f"{value:,}"


def show(title: str, table: Sequence[Sequence[str]]) -> None:
    """On the terminal."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title)
    for number, heading in enumerate(table[0]):
        shown.add_column(heading, justify="left" if number == 0 else "right")
    for line in table[1:]:
        shown.add_row(*line)
    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(shown)


def save(results: Dict[str, Any], path: Path) -> None:
    """As JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def markdown(table: Sequence[Sequence[str]]) -> str:
    """As a page shows it."""
    head, *rest = table
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| %s |" % " | ".join(line) for line in [head, rule, *rest])


def place(results: Dict[str, Any]) -> str:
    """What the figures can't be compared without."""
    where = results["machine"]
    return "%s, %d cores, Linux %s, Python %s, SQLite %s, kazoo %s" % tuple(
        where[key] for key in ("processor", "cores", "kernel", "python", "sqlite", "kazoo")
    )


def circumstances(results: Dict[str, Any]) -> str:
    """One sentence on where the figures are from."""
    load = results["machine"]["load"], results["machine"]["load_after"]
    text = "%s; load average %.1f before, %.1f after the run. It took %d s."
    return text % (place(results), *load, results["seconds"])


def into_page(name: str, text: str) -> None:
    """Replaces what docs/performance.md has between its markers of that name."""
    page = PAGE.read_text()
    begin, end = "<!-- %s: written by make bench -->" % name, "<!-- end of %s -->" % name
    before, rest = page.split(begin)
    PAGE.write_text("%s%s\n\n%s\n\n%s%s" % (before, begin, text.strip(), end, rest.split(end)[1]))
