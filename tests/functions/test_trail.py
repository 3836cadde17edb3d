"""A request can be followed by the logs, from who sends it to what became of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, List

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Delete
from fk_backend.session.uploads import with_uploads

from .doubles import NS, Bench

CREATE = Create("/a", b"", OPEN_ACL, 0, 0, False)


def _fields(caplog: pytest.LogCaptureFixture, *names: str) -> List[Any]:
    return [tuple(getattr(record, name) for name in names) for record in caplog.records if hasattr(record, "request")]


def test_the_writer_says_what_became_of_each_request(caplog: pytest.LogCaptureFixture) -> None:
    """Also of one that changed nothing."""

    async def check() -> None:
        bench = Bench()
        session = await bench.open("one")
        caplog.clear()
        await bench.ask("one", session, 1, CREATE, Delete("/no", -1))
        await bench.ask("one", session, 3, Delete("/no", -1))
        zxid = "0x%x" % (await bench.head()).zxid
        assert _fields(caplog, "namespace", "session", "connection", "request", "kind", "code", "zxid") == [
            (NS, "0x%x" % session, "one", 1, "Create", Error.OK, zxid),
            (NS, "0x%x" % session, "one", 2, "Delete", Error.NO_NODE, zxid),
            (NS, "0x%x" % session, "one", 3, "Delete", Error.NO_NODE, zxid),
        ]

    with caplog.at_level(logging.DEBUG, "fk_backend"):
        asyncio.run(check())


def test_a_client_says_what_it_sends(caplog: pytest.LogCaptureFixture) -> None:
    class Gateway:
        """Without blobs."""

        store = Bench().store
        blobs = None

    gateway: Any = Gateway()
    with caplog.at_level(logging.DEBUG, "fk_backend"):
        asyncio.run(with_uploads(gateway, NS, 0x2A, "one-7", [CREATE, CREATE]))
    assert _fields(caplog, "namespace", "session", "connection", "request", "requests") == [(NS, "0x2a", "one", 7, 2)]


def test_nobody_pays_for_it_who_does_not_ask(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        bench = Bench()
        await bench.ask("one", await bench.open("one"), 1, CREATE)

    with caplog.at_level(logging.INFO, "fk_backend"):
        asyncio.run(check())
    assert _fields(caplog, "request") == []
