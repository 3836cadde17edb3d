"""What a fake of kazoo's client gets wrong, and the test kit gets right: each row of the table in docs/testing.md.

zake 0.2.2 is an imitation of the client in memory; the kit is the shipped client on a deployment in memory. What is
right is what ZooKeeper does.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Iterator, NamedTuple, Tuple

import pytest
from kazoo.exceptions import NoAuthError
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.security import make_digest_acl
from zake.fake_client import FakeClient
from zake.fake_storage import FakeStorage

from fk_kazoo.testing.kit import Kit
from tests.checkout import ROOT

Pair = Tuple[Any, Any]
PATIENCE_S = 5.0
SHORT_S = 0.3
"""zake tells within milliseconds what it tells."""


class Row(NamedTuple):
    """What is done with two clients, and what comes of it: as ZooKeeper does it, and as zake does."""

    do: Callable[[Any, Any], object]
    right: object
    zake: object


def order_of_zxids(a: Any, b: Any) -> object:
    a.create("/a")
    a.create("/b")
    return bool(b.exists("/a").czxid < b.exists("/b").czxid)


def zxid_of_children(a: Any, b: Any) -> object:
    a.create("/a")
    before = a.exists("/a").pzxid
    a.create("/a/b")
    return bool(a.exists("/a").pzxid > before)


def version_of_children(a: Any, b: Any) -> object:
    a.create("/a")
    a.create("/a/b")
    a.delete("/a/b")
    return a.exists("/a").cversion


def child_watch_of_what_is_deleted(a: Any, b: Any) -> object:
    seen: "list[str]" = []
    a.create("/p")
    a.get_children("/p", watch=lambda event: seen.append(event.type))
    b.delete("/p")
    end = time.monotonic() + (SHORT_S if isinstance(a, FakeClient) else PATIENCE_S)
    while not seen and time.monotonic() < end:
        time.sleep(0.01)
    return seen


def acls(a: Any, b: Any) -> object:
    a.create("/secret", b"x", acl=[make_digest_acl("user", "password", all=True)])
    return b.get("/secret")


def owner_of_an_ephemeral(a: Any, b: Any) -> object:
    a.create("/e", ephemeral=True)
    return bool(b.exists("/e").ephemeralOwner == a.client_id[0])


def two_megabytes(a: Any, b: Any) -> object:
    return a.create("/big", b"x" * 2_000_000)


def stat_of_what_is_created(a: Any, b: Any) -> object:
    return a.create("/a", include_data=True)[1].version


def persistent_watch(a: Any, b: Any) -> object:
    return callable(getattr(a, "add_watch", None))


ROWS: Dict[str, Row] = {
    "czxid grows": Row(order_of_zxids, True, False),
    "pzxid grows": Row(zxid_of_children, True, False),
    "cversion counts": Row(version_of_children, 2, -1),
    "a child watch is told of a deletion": Row(child_watch_of_what_is_deleted, ["DELETED"], []),
    "ACLs": Row(acls, NoAuthError, NotImplementedError),
    "who owns an ephemeral": Row(owner_of_an_ephemeral, True, AttributeError),
    "a megabyte is the most": Row(two_megabytes, Exception, "/big"),
    "create with include_data": Row(stat_of_what_is_created, 0, TypeError),
    "persistent watches": Row(persistent_watch, True, False),
}


@pytest.fixture
def fakes() -> Iterator[Pair]:
    storage = FakeStorage(SequentialThreadingHandler())
    pair = FakeClient(storage=storage), FakeClient(storage=storage)
    for client in pair:
        client.start()
    yield pair
    for client in pair:
        client.stop()


@pytest.mark.parametrize("name", ROWS)
def test_row(fakes: Pair, name: str) -> None:
    do, right, wrong = ROWS[name]
    with Kit() as kit:
        _check(do, (kit.client(), kit.client()), right)
    _check(do, fakes, wrong)


def _check(do: Callable[[Any, Any], object], pair: Pair, expected: object) -> None:
    if isinstance(expected, type):
        with pytest.raises(expected):
            do(*pair)
    else:
        assert do(*pair) == expected


def test_the_docs_have_the_same_rows() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8").partition("## Beside zake")[2]
    assert [line.split(" | ")[0].lstrip("| ") for line in page.splitlines() if line.startswith("| ")][1:] == list(ROWS)
