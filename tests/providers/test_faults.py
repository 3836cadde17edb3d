"""A gateway that is cut off fails where a network can fail, and nowhere else."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fk_backend import layout
from fk_backend.errors import Unavailable
from fk_backend.providers.memory.store import MemoryStore
from fk_backend.testing.faults import FaultyGateway


def test_what_is_known_without_asking_is_known_while_it_is_cut_off() -> None:
    """An operation is measured by the store's limits before it is sent: kazoo's retries do not expect that to fail."""
    store = MemoryStore()
    inner: Any = SimpleNamespace(address=None, blobs=None, clock=None, store=store)
    faulty = FaultyGateway(inner)
    faulty.cut()
    assert faulty.store.capabilities is store.capabilities
    with pytest.raises(Unavailable):
        asyncio.run(faulty.store.get([layout.head_key("ns")]))


def test_a_write_is_done_at_once_only_where_nothing_can_happen_to_it() -> None:
    direct = SimpleNamespace(never_waits=True)
    inner: Any = SimpleNamespace(address=None, blobs=None, clock=None, store=MemoryStore(), direct=direct)
    faulty = FaultyGateway(inner)
    assert faulty.direct is direct
    for fail in (faulty.cut, faulty.halt, faulty.hold):
        fail()
        assert faulty.direct is None
        faulty.mend()
        faulty.release()
        assert faulty.direct is direct
    faulty.may_write_directly = lambda: False
    assert faulty.direct is None
    faulty.may_write_directly, direct.never_waits = (lambda: True), False  # as an invocation
    assert faulty.direct is None
