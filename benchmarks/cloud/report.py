"""The results as tables, for the terminal and for docs/costs.md."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

from ..report import figure, markdown
from ..systems import REPOSITORY

PAGE = REPOSITORY / "docs" / "costs.md"
Table = List[List[str]]
ITEMS = {
    "queue_sends": "queue",
    "inbox_pushes": "push",
    "wru": "write units",
    "rru": "read units",
    "s3": "S3",
    "gb_s": "GB-s",
    "invocations": "invoke",
    "event_source": "queue out",
    "inbox_receives": "inbox in",
    "inbox_deletes": "inbox del",
    "log_gb": "logs",
}
"""Items of a bill, as columns."""


def tables(results: Dict[str, Any]) -> List[Tuple[str, Table]]:
    """(title, table) of every part that was run."""
    found: List[Tuple[str, Table]] = []
    if "cost" in results:
        cost = results["cost"]
        found.append(("requests", requests(cost)))
        found.append(("prices", dollars(cost, "paper")))
        found.append(("current", dollars(cost, "current")))
        found.append(("cost-bars", bars(cost["bars"], "USD a million")))
        found.append(("headline", headline(cost)))
        found.append(("border", border(cost)))
        found.append(("idle", idle(cost["idle"])))
    if "direct" in results:
        found.append(("direct", direct(results["direct"])))
        found.append(("direct-bars", direct_bars(results["direct"])))
    if "latency" in results:
        found.append(("latency", latencies(results["latency"])))
        found.append(("latency-bars", bars(results["latency"]["bars"], "")))
        found.append(("throughput", throughput(results["latency"])))
    if "growth" in results:
        found.append(("cloud-growth", growth(results["growth"])))
    if "primitives" in results:
        found.append(("primitives", primitives(results["primitives"])))
        found.append(("primitive-bars", bars(results["primitives"]["bars"], "")))
    return found


def requests(cost: Dict[str, Any]) -> Table:
    """What each operation sends, and the units."""
    table = [["one operation", "requests, those of the inbox's poll apart", "write units", "read units"]]
    for row in cost["rows"]:
        sent = {kind: count for kind, count in row["requests"].items() if not kind.endswith("inbox") or "Send" in kind}
        told = ", ".join("%s × %s" % (_count(n), kind) for kind, n in sent.items())
        used = row["used"]
        table.append([row["row"], told, _count(used.get("wru", 0)), _count(used.get("rru", 0))])
    return table


def _count(value: float) -> str:
    return "%g" % round(value, 2)


def dollars(cost: Dict[str, Any], which: str) -> Table:
    """USD for a million of each operation, item by item."""
    head = ["USD a million, %s prices" % which, *ITEMS.values(), "formula", "everything", "original, counted"]
    table = [head]
    for row in cost["rows"]:
        usd = row["usd_" + which]
        items = ["%.2f" % usd["items"][item] if usd["items"][item] else "" for item in ITEMS]
        theirs = "%.2f" % usd["original"] if "original" in usd else ""
        table.append([row["row"], *items, "%.2f" % usd["formula"], "%.2f" % usd["everything"], theirs])
    return table


def bars(found: Sequence[Dict[str, Any]], unit: str) -> Table:
    """What was meant, and whether it holds."""
    table = [["", "unit", "ours", "theirs", "ratio", "meant", "holds"]]
    for bar in found:
        meant = "≥ %g" % bar["bar"] if bar["bar"] >= 2 or bar.get("at_least") else "≤ %g" % bar["bar"]
        row = [bar["what"], bar.get("unit", unit), figure(bar["ours"]), figure(bar["theirs"]), "%.3f" % bar["ratio"]]
        table.append([*row, meant, "yes" if bar["holds"] else "**no**"])
    return table


def headline(cost: Dict[str, Any]) -> Table:
    """How many times more servers cost than 100,000 requests a day."""
    table = [["servers", "reads", "prices", "ours", "theirs", "ours, everything", "theirs, everything"]]
    for which, rows in cost["headline"].items():
        for row in rows:
            keys = ("ours", "theirs", "ours_everything", "theirs_everything")
            cells = ["%s×" % figure(row[key]) for key in keys]
            table.append([row["servers"], "%d%%" % row["reads"], which, *cells])
    return table


def border(cost: Dict[str, Any]) -> Table:
    """Requests a day at which servers become cheaper."""
    table = [["requests a day at which servers cost the same", "prices", "share of reads", "ours", "theirs"]]
    for which, fleets in cost["border"].items():
        for fleet in fleets:
            for place, share in enumerate(fleet["shares"]):
                if round(share * 100) in (0, 50, 80, 90, 100):
                    ours = fleet["ours"][place]
                    cells = ["never" if ours is None else _millions(ours), _millions(fleet["theirs"][place])]
                    table.append([fleet["servers"], which, "%.0f%%" % (100 * share), *cells])
    return table


def idle(found: Dict[str, Any]) -> Table:
    """USD a month of a deployment that is asked for nothing."""
    cases = [name for name in found if name != "before"]
    table = [["USD a month, current prices", *cases]]
    for what in found[cases[-1]]:
        table.append([what, *("%.3f" % found[case].get(what, 0.0) for case in cases)])
    sums = {case: sum(found[case].values()) for case in cases}
    table.append(["together", *("%.2f" % sums[case] for case in cases)])
    table.append(["beside ten clients before", *("%.2f" % (sums[case] / found["before"]) for case in cases)])
    return table


def _millions(value: float) -> str:
    return "%.2f million" % (value / 1e6)


def direct(found: Dict[str, Any]) -> Table:
    """Writes that are invocations: ms by what an invocation is taken for, and USD for a million."""
    ways = list(found["ms"][0]["ms"])
    heads = ["by the queue" if float(way) == 0 else "invoked in %g ms" % float(way) for way in ways]
    table = [["", *("%s: %s" % (head, key) for head in heads for key in ("p50", "p99")), "requests", *USD]]
    for row in found["ms"]:
        table.append(
            [row["row"] + ", ms", *(figure(row["ms"][way][p]) for way in ways for p in ("p50", "p99")), "", "", ""]
        )
    for row in found["usd"]:
        told = ", ".join("%s × %s" % (_count(n), kind) for kind, n in row["requests"].items())
        table.append([row["row"], *[""] * 2 * len(ways), told, "%.2f" % row["paper"], "%.2f" % row["current"]])
    return table


USD = ("USD a million, everything, paper prices", "current prices")


def direct_bars(found: Dict[str, Any]) -> Table:
    """What was meant for them."""
    table = [["", "unit", "invoked", "by the queue", "meant", "holds"]]
    for bar in found["bars"]:
        meant = "%s %s" % ("≥" if bar["at_least"] else "≤", figure(bar["meant"]))
        cells = [figure(bar["ours"]), figure(bar["queued"]), meant]
        table.append([bar["what"], bar["unit"], *cells, "yes" if bar["holds"] else "**no**"])
    return table


def latencies(found: Dict[str, Any]) -> Table:
    """Simulated calls, ms."""
    names = list(found["ours"])
    table = [["ms", *("%s: %s" % (way, key) for way in names for key in ("p50", "p99"))]]
    for operation in found["ours"][names[0]]:
        each = [found["ours"][way][operation][key] for way in names for key in ("p50", "p99")]
        table.append([operation, *map(figure, each)])
    for what, key in (
        ("*original, set, by the model*", "original_model"),
        ("*original, set, as measured*", "original_measured"),
        ("*original, get, as measured*", "original_read_measured"),
    ):
        table.append([what, *[figure(found[key][p]) for _ in names for p in ("p50", "p99")]])
    return table


def throughput(found: Dict[str, Any]) -> Table:
    """Writes per second over namespaces."""
    head = ["namespaces, a pipelining client in each", "sets a second", "for each namespace"]
    table = [[*head, "for each, if it met the same environment every time"]]
    for count, rate in sorted(found["namespaces"].items(), key=lambda each: int(each[0])):
        loyal = found["namespaces_loyal"][count] / int(count)
        table.append([count, figure(rate), figure(rate / int(count)), figure(loyal)])
    return table


def growth(rows: Sequence[Dict[str, Any]]) -> Table:
    """Requests and units as the surroundings grow."""
    table = [["", "at each size: requests / write units / read units", "largest over smallest", "flat within 1.5×"]]
    for row in rows:
        steps = "; ".join(
            "%s: %s" % (f"{each['size']:,}", " / ".join(map(_count, each["used"]))) for each in row["sizes"]
        )
        table.append(
            [row["row"], steps, " / ".join("%.2f" % each for each in row["growth"]), "yes" if row["flat"] else "**no**"]
        )
    return table


def primitives(found: Dict[str, Any]) -> Table:
    """Of the latency model, ms."""
    table = [["ms", "p50", "p99", "the original, as measured: p50"]]
    for row in found["rows"]:
        theirs = row.get("theirs")
        table.append([row["row"], figure(row["p50"]), figure(row["p99"]), figure(theirs) if theirs else ""])
    return table


def into_page(found: Sequence[Tuple[str, Table]]) -> None:
    """Replaces what docs/costs.md has between the markers of each table."""
    page = PAGE.read_text()
    for title, table in found:
        begin, end = "<!-- %s: written by python -m benchmarks cloud --docs -->" % title, "<!-- end of %s -->" % title
        before, rest = page.split(begin)
        page = "%s%s\n\n%s\n\n%s%s" % (before, begin, markdown(table), end, rest.split(end, 1)[1])
    PAGE.write_text(page)
