"""How apps use the client for asyncio, rightly and wrongly: as uses.py."""

from __future__ import annotations

from datetime import timedelta
from typing import List, Optional, Tuple

from typing_extensions import assert_type

import fk_kazoo.aio
from fk_kazoo.protocol.states import ZnodeStat


async def with_asyncio() -> None:
    """The client for asyncio."""
    async with fk_kazoo.aio.KazooClient("memory://typed", timeout=5.0) as zk:
        assert_type(await zk.get("/a"), Tuple[bytes, ZnodeStat])
        assert_type(await zk.get_children("/a"), List[str])
        assert_type(await zk.get_children("/a", include_data=True), Tuple[List[str], ZnodeStat])
        assert_type(await zk.create("/a", b"", sequence=True), str)
        assert_type(await zk.create("/a", include_data=True), Tuple[str, ZnodeStat])
        assert_type(await zk.retry(zk.exists, "/a"), Optional[ZnodeStat])
        async with zk.Lock("/lock", "me") as lock:
            assert_type(await lock.contenders(), List[str])
        async with zk.LockingQueue("/queue") as value:
            assert_type(value, bytes)
        async for event in zk.watch("/a", recursive=True):
            assert_type(event.path, Optional[str])
        async for data, stat in zk.data_watch("/a"):
            assert_type(data, Optional[bytes])
            assert_type(stat, Optional[ZnodeStat])
        lease = await zk.NonBlockingLease("/lease", timedelta(minutes=1))
        assert_type(lease.obtained, bool)
        assert_type(await zk.Counter("/counter").add(1), int)
        async with zk.SetPartitioner("/parts", {"a", "b"}) as parts:
            assert_type(list(parts), List[str])
        zk.get("/a")[0]  # wrong
        await zk.get(b"/a")  # wrong
        await zk.set("/a", "text")  # wrong
        await zk.nonsense()  # wrong
        with zk.Lock("/lock"):  # wrong
            pass
