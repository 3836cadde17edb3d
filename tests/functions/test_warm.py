"""What a writer knows of a namespace is forgotten when it is too much, and counted right until then."""

from __future__ import annotations

import asyncio
from typing import Any, List, Tuple
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error, Node
from fk_backend.core.requests import Create, Delete, Flags, Multi, SetData
from fk_backend.core.snapshot import Changes
from fk_backend.layout import Head, Stored, fresh_family
from fk_backend.messages import Message
from fk_backend.writer import cache

from .doubles import NS, Bench
from .test_many_paths import Counted


def _node(size: int) -> Node:
    return Node(1, 1, 0, 0, 0, 0, 0, OPEN_ACL, bytes(size))


def _stored(size: int) -> Stored:
    return Stored(_node(size), fresh_family(_node(size)), 1, 0)


@pytest.mark.parametrize("last, forgotten", [(3000, False), (3001, True)])
def test_data_are_counted_as_they_come_and_go(monkeypatch: pytest.MonkeyPatch, last: int, forgotten: bool) -> None:
    monkeypatch.setattr(cache, "MAX_DATA_BYTES", 10_000)
    known = cache.Cache(Head(1, 1, 0, 0, (), ()), None)
    known.add("/a", _stored(9000))
    known.add("/missing", None)
    changes = Changes()
    changes.nodes["/a"] = _node(5000)
    changes.nodes["/b"] = _node(4000)
    known.advance(changes, Head(2, 1, 0, 0, (), ()), known.afterwards(changes, 2))
    changes = Changes()
    changes.nodes["/b"] = None
    changes.nodes["/c"] = _node(2000)
    known.advance(changes, Head(3, 1, 0, 0, (), ()), known.afterwards(changes, 3))
    known.add("/d", _stored(last))
    known.trim()
    assert ("/a" in known.snapshot.nodes) is not forgotten
    known.add("/e", _stored(10_000))
    known.trim()
    assert ("/e" in known.snapshot.nodes) is forgotten, "what was forgotten is not counted any more"


places = st.sampled_from(("/a", "/b", "/a/c", "/a/d", "/a/c/e", "/a/s-0000000001"))
modes = st.sampled_from((Flags.PERSISTENT, Flags.SEQUENTIAL))
ops = st.one_of(
    st.builds(lambda path, mode: Create(path, b"", OPEN_ACL, mode, 0, False), places, modes),
    st.builds(Create, st.just("/a/s-"), st.just(b""), st.just(OPEN_ACL), modes, st.just(0), st.just(False)),
    st.builds(Delete, places, st.just(-1)),
    st.builds(SetData, places, st.just(b"x"), st.just(-1)),
)
requests = ops | st.lists(ops, min_size=1, max_size=4).map(lambda several: Multi(tuple(several)))


@given(
    st.lists(st.tuples(st.sampled_from(["direct"] * 8 + ["queue", "anew"]), requests), max_size=20), st.integers(3, 30)
)
def test_what_is_said_not_to_be_there_is_not_there(steps: List[Tuple[str, Any]], most: int) -> None:
    """Because all children of its parent are known. Writers come anew, and forget what is too much."""

    async def run() -> None:
        bench = Bench()
        session = await bench.open("i")
        made = [Create(path, b"", OPEN_ACL, Flags.PERSISTENT, 0, False) for path in ("/a", "/a/c", "/a/d")]
        await bench.ask("i", session, 1, *made)
        bench.writer = bench.fresh_writer()
        for number, (way, request) in enumerate(steps, 4):
            if way == "anew":
                bench.writer = bench.fresh_writer()
            if way == "direct":
                await bench.writer.write(NS, Message("i", session, number, (request,)))
            else:
                await bench.ask("i", session, number, request)
            known = bench.writer._cache[NS]
            for path in ("/a", "/b", "/a/c", "/a/d", "/a/c/e", "/b/x", *("/a/s-%010d" % n for n in range(6))):
                (item,) = await bench.store.get([layout.node_keys(NS, path)[0]])
                assert item is None or not known.is_absent(path), path

    with mock.patch.object(cache, "MAX_NODES", most):
        asyncio.run(run())


def test_nobody_asks_for_what_can_not_be_there() -> None:
    """A node whose parent's children are all known, as those of a lock are to who made them."""

    async def run() -> None:
        bench = Bench()
        session = await bench.open("i")
        await bench.ask("i", session, 1, Create("/lock", b"", OPEN_ACL, 0, 0, False))
        bench.store = store = Counted(bench.store)
        bench.writer._ports = bench.ports()
        for number in range(2, 5):
            request = Create("/lock/one-", b"", OPEN_ACL, Flags.EPHEMERAL_SEQUENTIAL, 0, False)
            written = await bench.writer.write(NS, Message("i", session, number, (request,)))
            assert written.result.code == Error.OK
        assert store.calls["load"] == 0 and store.calls["commit"] == 3

    asyncio.run(run())
