"""The benchmarks run and produce their tables, JSON and pictures. No time is looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import growth, local, moments, report, systems, timeline
from benchmarks.__main__ import main

pytest.importorskip("rich", reason="benchmarks need the bench extra: pip install -e '.[bench]'")
pytest.importorskip("matplotlib", reason="benchmarks need the bench extra: pip install -e '.[bench]'")

ROWS = [row for row in local.ALL if "1,000" not in row and "16" not in row]


@pytest.mark.slow
def test_local(tmp_path: Path) -> None:
    """Every row has a figure for each system that can do it; where ZooKeeper is, a ratio and a bar."""
    names = ["local", "memory"] if systems.missing("zookeeper") else ["zookeeper", "local", "memory"]
    results = main(
        ["local", "--smoke", "--disk", str(tmp_path), "--systems", ",".join(names), "--rows", ";".join(ROWS)]
    )
    assert [row["row"] for row in results["rows"]] == ROWS
    assert not results["left_out"]
    for row in results["rows"]:
        shared = [name for name in names if name != "memory"]
        assert set(row["systems"]) in (set(names), set(shared)), row
        assert all(found["low"] > 0 for found in row["systems"].values()), row
        if "zookeeper" in names:
            assert set(row["ratios"]) == set(row["systems"]) - {"zookeeper"}
    assert json.loads((tmp_path / "bench-local.json").read_text())["rows"] == results["rows"]
    assert len(report.lines(results)) == 1 + len(ROWS) + len(results["limits"])
    if "zookeeper" in names:
        assert (tmp_path / "local-dark.svg").read_text().count("</svg>") == 1


def test_timeline(tmp_path: Path) -> None:
    """Every moment was seen, in the order in which they are listed: nobody else has a part in it."""
    results = main(["timeline", "--smoke", "--disk", str(tmp_path)])
    order = [row["what"] for row in results["rows"]]
    assert order == [moments.ASKED, *(each.what for each in moments.MOMENTS), moments.RETURNED]
    assert len(timeline.lines(results)) == 1 + len(order)


@pytest.mark.slow
@pytest.mark.parametrize("system", ["local", "postgresql"])
def test_growth(tmp_path: Path, system: str) -> None:
    """Every case is measured at its first sizes."""
    why = systems.missing(system)
    if why:
        pytest.skip(why)
    results = main(["growth", "--smoke", "--system", system, "--disk", str(tmp_path)])
    assert [row["row"] for row in results["rows"]] == [case.name for case in growth.CASES]
    for row in results["rows"]:
        assert all(each[unit]["median"] > 0 for each in row["sizes"] for unit in ("ms", "processor_ms")), row
    assert len(report.growth_lines(results)) == 1 + len(growth.CASES)
    assert (tmp_path / "growth-light.svg").read_text().count("</svg>") == 1
