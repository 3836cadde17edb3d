"""The figures for AWS: rules of units, prices and the formula; and everything once, with hardly any samples."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

from benchmarks.cloud import bill, latency, original, units
from benchmarks.cloud.protocols import throughput
from fk_kazoo.__main__ import main as command
from fk_kazoo.commands import cost
from fk_kazoo.commands.cost_figures import FIGURES, PRICES

pytest.importorskip("rich", reason="benchmarks need the bench extra: pip install -e '.[bench]'")
pytest.importorskip("matplotlib", reason="benchmarks need the bench extra: pip install -e '.[bench]'")


def _row(size: int, **more: Any) -> Dict[str, Any]:
    return {"p": {"S": "p"}, "s": {"S": "s"}, "b": {"B": b"x" * (size - 5)}, **more}


def test_sizes_of_items() -> None:
    """Names and values: DynamoDB Developer Guide, "Item sizes and formats"."""
    assert units.size_of({"p": {"S": "é"}}) == 3
    assert units.size_of({"r": {"N": "27"}}) == 3
    assert units.size_of({"r": {"N": "-27"}}) == 4
    assert units.size_of({"r": {"N": "1000"}}) == 3, "zeros at the end take no room"
    assert units.size_of({"b": {"B": "AAAA"}}) == 4, "as in a request: base64"
    assert units.size_of(_row(1024)) == 1024


def test_units_of_writes() -> None:
    tables = units.Tables()

    def put(row: Dict[str, Any], refused: bool = False) -> float:
        return tables.units("PutItem", {"TableName": "t", "Item": row}, {}, refused).wru

    key = {"p": {"S": "p"}, "s": {"S": "s"}}
    assert put(_row(1024)) == 1
    assert put(_row(1025)) == 2
    assert put(_row(100)) == 2, "the larger one of before and after"
    assert put(_row(4000), refused=True) == 1, "a condition that does not hold: what is there"
    together = [{"Put": {"TableName": "t", "Item": _row(1500)}}, {"Delete": {"TableName": "t", "Key": key}}]
    assert tables.units("TransactWriteItems", {"TransactItems": together}, {}, False).wru == 8
    assert put(_row(200)) == 1
    assert tables.units("DeleteItem", {"TableName": "t", "Key": key}, {}, False).wru == 1


def test_units_of_reads() -> None:
    tables = units.Tables()
    assert tables.units("GetItem", {}, {}, False).rru == 1
    assert tables.units("GetItem", {}, {"Item": _row(4097)}, False).rru == 2
    assert tables.units("TransactGetItems", {}, {"Responses": [{"Item": _row(10)}, {}]}, False).rru == 4
    assert tables.units("Query", {"ConsistentRead": True}, {"Items": [_row(100)] * 41}, False).rru == 2
    assert tables.units("Query", {}, {"Items": []}, False).rru == 0.5
    asked = {"RequestItems": {"t": {"Keys": [1, 2, 3]}}}
    assert tables.units("BatchGetItem", asked, {"Responses": {"t": [_row(5000)]}}, False).rru == 4


def test_the_formula_gives_what_was_published() -> None:
    assert original.write_usd("paper") == pytest.approx(7.18)
    assert original.read_usd("paper") == 0.25
    servers = original.headline()["9 × t3.large"]
    assert servers / (100_000 * original.read_usd("paper") / 1e6) == pytest.approx(719, abs=1)
    assert servers / ((80_000 * 0.25 + 20_000 * 7.18) / 1e6) == pytest.approx(110, abs=1)


def test_percentiles() -> None:
    curve = latency.Curve([0.1, 0.5, 0.9], [1.0, 2.0, 10.0])
    found = [curve.at(share) for share in (0, 0.1, 0.3, 0.5, 0.7, 1)]
    assert found == pytest.approx([1.0, 1.0, 1.5, 2.0, 6.0, 10.0])
    assert latency.of_operation("TransactWriteItems", 1024, 0.5) == latency.TRANSACT_WRITE_MS


def test_what_is_shipped_knows_the_prices() -> None:
    """And the quantities that the counted requests come to."""
    from benchmarks.cloud import figures

    assert figures.price_lists() == PRICES
    assert figures.overhead_bytes() == FIGURES["overhead_bytes"]


def test_cost_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["cost", "--reads", "80_000", "--writes", "20,000", "--clients", "10", "--prices", "paper"]) == 0
    printed = capsys.readouterr().out
    load = cost.Load(80_000, 20_000, 10, inboxes=10)
    assert "%.4f USD/day" % sum(cost.daily(load, FIGURES, PRICES["paper"]).values()) in printed
    assert "3 × t3.small" in printed
    assert command(["cost", "--reads", "1", "--writes", "1", "--clients", "1", "--holders", "2"]) == 2
    assert command(["cost", "--reads", "1", "--writes", "1", "--clients", "1", "--watching", "2"]) == 2
    assert command(["cost", "--reads", "0", "--writes", "0", "--clients", "0", "--kb", "64"]) == 0


def test_costs_grow_with_what_they_are_for() -> None:
    price = PRICES["current"]
    some = cost.Load(1000, 1000, 2, 1, 1, 1)
    whole = sum(cost.daily(some, FIGURES, price).values())
    grown_by = (
        {"reads": 2000},
        {"writes": 2000},
        {"clients": 3},
        {"inboxes": 2},
        {"holders": 2},
        {"kb": 5},
        {"kb": 100},
    )
    for more in grown_by:
        assert sum(cost.daily(some._replace(**more), FIGURES, price).values()) > whole, more
    times = cost.even_at(some, FIGURES, price, 10.0)
    assert times is not None
    grown = some._replace(reads=1000 * times, writes=1000 * times)
    assert sum(cost.daily(grown, FIGURES, price).values()) == pytest.approx(10.0)
    assert cost.even_at(some._replace(clients=10**6), FIGURES, price, 10.0) is None


@pytest.mark.parametrize("clients", [3, 16])
def test_many_clients_that_wait_for_their_answers_lose_nothing_by_invocations(clients: int) -> None:
    """Whoever has met others leaves them to the queue, which takes all of them together. In virtual time, by a seed."""
    queued, invoked = (throughput(1, clients, 60, 0.0, depth=1, invoke_ms=ms) for ms in (0.0, 12.0))
    assert invoked > 0.9 * queued


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 10), reason="the emulator needs Python 3.10")
def test_everything_once(tmp_path: Path) -> None:
    """Tables, JSON and pictures are there, and the requests and units are those that the documentation tells of."""
    from benchmarks.__main__ import main
    from benchmarks.cloud import report

    results = main(["cloud", "--smoke", "--disk", str(tmp_path)])
    rows = {row["key"]: row for row in results["cost"]["rows"]}
    assert {
        name: row["used"].get("wru", 0) for name, row in rows.items() if name in ("get", "set", "create", "delete")
    } == {
        "get": 0,
        "set": 2,
        "create": 8,
        "delete": 8,
    }
    assert rows["get"]["requests"] == {"Query": 1}
    assert rows["set_1024"]["used"]["wru"] == 3
    assert rows["get_watch"]["used"]["wru"] == 1
    assert sum(rows["set_100"]["requests"].values()) < 0.5, "calls in flight share what they cost"
    for item in ("wru", "rru", "queue_sends", "inbox_pushes", "invocations"):
        assert FIGURES["write"][item] == round(rows["set"]["used"][item], 6), "python -m benchmarks cloud --docs"
    held = [bar["holds"] for bar in results["cost"]["bars"]]
    assert held[0] and held[-1], "a write by the formula, and a read"
    assert all(row["flat"] for row in results["growth"])
    assert json.loads((tmp_path / "bench-cloud.json").read_text())["growth"] == results["growth"]
    assert (tmp_path / "cost-dark.svg").read_text().count("</svg>") == 1
    found = report.tables(results)
    assert len(found) == 15 and all(len(table) > 1 for _, table in found)
    page = report.PAGE.read_text()
    assert all("<!-- end of %s -->" % title in page for title, _ in found)
    assert set(results["cost"]["figures"]) == set(FIGURES)


def test_a_bill_leaves_nothing_out() -> None:
    """Every item has a price, and is either in the formula or left out by it."""
    items = set(bill.by_item("paper"))
    assert items == (set(bill.FORMULA) | set(bill.LEFT_OUT)) - {"s3"} | {"s3_put", "s3_get"}


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the emulator needs Python 3.10")
def test_what_is_filled_is_what_the_functions_write() -> None:
    """A client sees the same, and what it does next comes to the same."""
    from benchmarks.cloud import filling
    from benchmarks.cloud.emulated import emulated_deployment

    with emulated_deployment(filled=True) as deployment:
        client = deployment.client("ns")
        for parent in ("/made", "/filled"):
            client.create(parent)
        names = ["a-name-of-20-%07d" % number for number in range(3)]
        for name in names:
            client.create("/made/" + name)
        rev = client.exists("/filled").mzxid
        zxid = deployment.filling.moved("ns")
        deployment.filling.put(filling.children("ns", "/filled", len(names), zxid, rev))
        seen = []
        for parent in ("/made", "/filled"):
            client.create(parent + "/more-", sequence=True)
            client.delete(parent + "/" + names[0])
            stat = client.exists(parent)
            deeper = client.get("%s/%s" % (parent, names[1]))
            seen.append(
                (
                    sorted(client.get_children(parent)),
                    stat._replace(czxid=0, mzxid=0, pzxid=0, ctime=0, mtime=0),
                    (deeper[0], deeper[1]._replace(czxid=0, mzxid=0, pzxid=0, ctime=0, mtime=0)),
                )
            )
        assert seen[0] == seen[1]
