"""The report: JSON for machines, Markdown to paste into an issue. Both have everything that is known."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from .. import __version__
from .outcome import FAILED, NOT_RUN, NOT_SHOWN, Result

FORMAT = 1
MARKS = {FAILED: "**failed**", NOT_RUN: "not run", NOT_SHOWN: "not shown"}


class Report(NamedTuple):
    """All of a run. USD are the estimate of the project's cost model, prices doubled; ``left``: what is left, by kind;
    ``unknown``: kind → why it was not looked at.
    """

    began: str
    seconds: float
    region: str
    emulator: str
    waits_shortened: bool
    budget_usd: float
    spent_usd: float
    ended_early: str
    results: List[Result]
    left: List[str]
    unknown: Dict[str, str]
    latencies: Dict[str, Any]
    exit_code: int
    troubles: Sequence[str] = ()


def as_json(report: Report) -> str:
    """The whole report."""
    plain: Dict[str, Any] = {
        "format": FORMAT,
        "fk_kazoo": __version__,
        "python": platform.python_version(),
        **report._asdict(),
        "results": [{**result._asdict(), "figures": dict(result.figures)} for result in report.results],
    }
    return json.dumps(plain, indent=1, default=str) + "\n"


def as_markdown(report: Report) -> str:
    """The same for people."""
    return "\n".join([*_head(report), *_checks(report), *_remains(report), *_latencies(report), *_details(report), ""])


def _head(report: Report) -> List[str]:
    lines = [
        "# fk-kazoo verify: %s" % _verdict(report),
        "",
        "fk_kazoo %s, Python %s, %s, region %s; %.0f s; at most %.4f USD of %.2f (estimated)"
        % (
            *(__version__, platform.python_version(), report.began, report.region),
            *(report.seconds, report.spent_usd, report.budget_usd),
        ),
        "",
    ]
    if report.emulator:
        lines += [
            "**This was %s. It is no proof of anything on AWS;** the last column says of what not." % report.emulator,
            "",
        ]
    if report.waits_shortened:
        lines += ["**The waits were shortened:** nothing here is about minutes.", ""]
    if report.ended_early:
        lines += ["**It ended early:** %s." % report.ended_early, ""]
    return lines


def _verdict(report: Report) -> str:
    if report.left or report.unknown:
        return "something is left" if report.left else "it is not known what is left"
    if any(result.status == FAILED for result in report.results):
        return "something did not hold"
    return "not everything was run" if report.exit_code else "everything held"


def _checks(report: Report) -> List[str]:
    lines = ["| check | | seconds | what it shows | no proof about |", "| --- | --- | ---: | --- | --- |"]
    for one in report.results:
        cells = (one.name, MARKS.get(one.status, one.status), "%.0f" % one.seconds, one.claim, one.proves_nothing_of)
        lines.append("| %s |" % " | ".join(cell.replace("|", "\\|") for cell in cells))
    return [*lines, ""]


def _remains(report: Report) -> List[str]:
    if not (report.left or report.unknown):
        return ["Everything was destroyed, and nothing of it is left.", ""]
    lines = ["**Left:** " + one for one in report.left]
    lines += ["**Not looked at:** %s: %s" % (kind, why) for kind, why in sorted(report.unknown.items())]
    return [line + "  " for line in lines] + [""]


def _latencies(report: Report) -> List[str]:
    if not report.latencies.get("ops"):
        return []
    lines = ["| ms | bytes | n | p50 | p90 | p99 |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for operation, entry in report.latencies["ops"].items():
        for size, one in entry["by_size"].items():
            lines.append(
                "| %s | %s | %d | %s | %s | %s |" % (operation, size, one["n"], one["p50"], one["p90"], one["p99"])
            )
    return [*lines, ""]


def _details(report: Report) -> List[str]:
    lines: List[str] = []
    for one in report.results:
        if one.detail and "\n" not in one.detail:
            lines += ["- %s, %s: %s" % (one.name, one.status, one.detail)]
        elif one.detail:
            lines += [
                "",
                "**%s**, %s:" % (one.name, one.status),
                "",
                "```",
                one.detail.replace("```", "'''"),
                "```",
                "",
            ]
        elif one.figures:
            lines += ["- %s: `%s`" % (one.name, json.dumps(dict(one.figures), default=str))]
    if report.troubles:
        lines += ["", "What the emulated event sources told:", "", "```", *report.troubles[-20:], "```"]
    return lines


def write(report: Report, path: Path) -> List[Path]:
    """Both, beside each other; where they are."""
    found = [path.with_name(path.name + ".json"), path.with_name(path.name + ".md")]
    found[0].write_text(as_json(report), encoding="utf-8")
    found[1].write_text(as_markdown(report), encoding="utf-8")
    return found
