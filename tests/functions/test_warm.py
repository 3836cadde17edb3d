"""What a writer knows of a namespace is forgotten when it is too much, and counted right until then."""

from __future__ import annotations

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Node
from fk_backend.core.snapshot import Changes
from fk_backend.functions import cache
from fk_backend.layout import Head, Stored, fresh_family


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
