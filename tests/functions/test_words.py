"""Four letter words tell of the namespace that they are asked of, and of none that its name is the beginning of."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fk_backend import layout
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.requests import Create, Open
from fk_backend.functions.words import answer_word
from fk_backend.messages import Message, encode
from fk_backend.ports import Delivery, Item, Put

from .doubles import NS, Bench


@pytest.mark.parametrize("word", ["dump", "mntr", "cons", "wchs", "srvr", "stat"])
def test_words_tell_of_one_namespace(word: str) -> None:
    async def check() -> None:
        bench = Bench()
        gateway: Any = SimpleNamespace(store=bench.store)

        async def asked() -> str:
            return await answer_word(gateway, NS, word, "memory://x", "host")

        session = await bench.open("one")
        await bench.ask("one", session, 1, Create("/e", b"x", OPEN_ACL, 1, 0, False))
        await bench.watch("one", "/e", "data", 1)
        before = await asked()
        for other in ("other", NS + "2", "a" + NS):
            request = Open(b"h" * 32, 4000, "two", None)
            await bench.writer(other, [Delivery(encode(Message("two", 0, 0, (request,))), False)])
            key = layout.registration_key(other, "/e", "data", "two")
            await bench.store.commit([Put(key, Item(1, b""), owner="two")])
        assert await asked() == before

    asyncio.run(check())
