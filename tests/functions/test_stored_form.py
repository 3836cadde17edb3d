"""What a deployment holds can be read by the next version: a change of the stored form is a change of its number.

A fixed program is run, and a digest is taken of every byte that it leaves in the store. Whoever changes it makes
`layout.FORMAT` grow, and decides whether the form before is still read (`OLDEST_FORMAT`).
"""

from __future__ import annotations

import asyncio
import hashlib

from fk_backend import codec
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Acl, Trigger
from fk_backend.core.requests import Auth, Create, Delete, Multi, SetAcl, SetData
from fk_backend.layout import FORMAT, Head, head_of
from fk_backend.ports import Item

from .doubles import Bench

DIGEST_OF = {4: "a79a3dd272af660e"}


def _create(path: str, flags: int = 0, data: bytes = b"data") -> Create:
    return Create(path, data, OPEN_ACL, flags, 0, False)


async def _left_behind() -> str:
    bench = Bench()
    client, other = await bench.open("client"), await bench.open("other")
    await bench.watch("other", "/a", "data", 1)
    await bench.ask("client", client, 1, _create("/a"), _create("/a/b"), _create("/a/e", 1), _create("/a/s-", 2))
    await bench.ask("client", client, 5, SetData("/a", b"\x00\xff", -1), Delete("/a/b", -1), Auth("digest", "u:p"))
    await bench.ask("client", client, 8, SetAcl("/a/s-0000000002", (Acl(31, "auth", ""),), -1), _create("/c", 4))
    await bench.ask("client", client, 10, _create("/a/s-0000000002/x"), SetData("/a/s-0000000002", b"", -1))
    await bench.ask("other", other, 1, Multi((_create("/m"), SetData("/m", b"m", 0))), _create("/a/e/no"))
    digest = hashlib.sha256()
    for key, item in sorted((await bench.contents()).items()):
        digest.update(repr((tuple(key), item.rev, bytes(item.body))).encode())
    return digest.hexdigest()[:16]


def test_the_stored_form_has_a_number() -> None:
    assert asyncio.run(_left_behind()) == DIGEST_OF[FORMAT], "see the text at the top"


def test_a_head_of_format_2_is_read() -> None:
    """Its triggers say nothing of readers: everybody was told."""
    old = Item(7, codec.dumps([1, 6, 5, [[6, "/a", 1], [6, "/", 4]], [], [], [], False, [], None, 0, [], 0]))
    triggers = (Trigger(6, "/a", 1), Trigger(6, "/", 4))
    assert head_of(old) == Head(7, 1, 6, 5, triggers, ())
