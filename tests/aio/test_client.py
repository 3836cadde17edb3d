"""The client's operations, states and watches, on deployments in memory and on files."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, List

import pytest
from kazoo.protocol.states import KazooState
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from fk_kazoo import exceptions
from fk_kazoo.aio import EventType, KazooClient

from .support import expire, run


def test_operations(url: str) -> None:
    """Each of them, with kazoo's answers and errors; nothing runs any more when the body is over."""

    async def main() -> None:
        threads = threading.active_count()
        async with KazooClient(url) as zk:
            assert threading.active_count() == threads
            assert zk.connected and zk.state == KazooState.CONNECTED and zk.client_id is not None
            assert await zk.create("/a/b", b"1", makepath=True) == "/a/b"
            data, stat = await zk.get("/a/b")
            assert (data, stat.version) == (b"1", 0)
            assert (await zk.set("/a/b", b"2", version=0)).version == 1
            assert await zk.get_children("/a") == ["b"]
            names, above = await zk.get_children("/a", include_data=True)
            assert (names, above.numChildren) == (["b"], 1)
            path, made = await zk.create("/a/s-", sequence=True, ephemeral=True, include_data=True)
            assert path == "/a/s-0000000001" and made.ephemeralOwner == zk.client_id[0]
            assert await zk.exists("/none") is None
            assert await zk.ensure_path("/a/b") is True and await zk.ensure_path("/n/m") == "/n/m"
            assert await zk.sync("/a") == "/a"
            assert (await zk.get_acls("/a"))[0] == OPEN_ACL_UNSAFE
            await zk.set_acls("/n", [make_digest_acl("me", "secret", all=True)])
            with pytest.raises(exceptions.NoAuthError):
                await zk.create("/n/o")
            assert await zk.add_auth("digest", "me:secret")
            assert await zk.create("/n/o") == "/n/o"
            for error, call in [
                (exceptions.NoNodeError, zk.get("/none")),
                (exceptions.NodeExistsError, zk.create("/a")),
                (exceptions.BadVersionError, zk.set("/a", b"", version=7)),
                (exceptions.NotEmptyError, zk.delete("/a")),
                (exceptions.NoChildrenForEphemeralsError, zk.create(path + "/x")),
                (exceptions.UnimplementedError, zk._ask(type("Odd", (), {"type": 1000})())),
                (TypeError, zk.create(b"/bytes")),  # type: ignore[call-overload]
                (TypeError, zk.set("/a", "text")),  # type: ignore[arg-type]
                (TypeError, zk.get("/a", watch="no function")),  # type: ignore[arg-type]
            ]:
                with pytest.raises(error):
                    await call
            assert await zk.delete("/a", recursive=True) is None and not await zk.exists("/a")
            assert (await zk.create_ttl("/ttl", 10**9), await zk.create_container("/box")) == ("/ttl", "/box")
            assert await zk.command(b"ruok") == "imok" and (await zk.server_version())[0] == 3
        with pytest.raises(exceptions.ConnectionClosedError):
            await zk.get("/a")
        assert not zk.connected and zk.client_id is None

    run(main())


def test_transactions(url: str) -> None:
    """All or nothing, with a result for each operation."""

    async def main() -> None:
        async with KazooClient(url) as zk:
            async with zk.transaction() as both:
                both.create("/a", b"1")
                both.set_data("/a", b"2")
                both.check("/a", 1)
                both.delete("/a")
            assert [type(each) for each in both.results[:2]] == [str, type(await zk.exists("/"))]
            assert both.results[2:] == [True, True]
            failing = zk.transaction()
            failing.create("/b")
            failing.delete("/none")
            results = await failing.commit()
            assert isinstance(results[0], exceptions.RolledBackError)
            assert isinstance(results[1], exceptions.NoNodeError)
            with pytest.raises(ValueError):
                await failing.commit()

    run(main())


def test_a_chroot(url: str) -> None:
    """Paths are below it, in requests, answers and events."""

    async def main() -> None:
        async with KazooClient(url) as zk:
            await zk.ensure_path("/app/inside")
            async with KazooClient(url + "/app/inside") as inside:
                async with inside.watch("/", recursive=True) as events:
                    assert await inside.create("/a") == "/a"
                    assert (await events.__anext__()).path == "/a"
                async with inside.transaction() as one:
                    one.create("/b")
                assert one.results == ["/b"]
            assert sorted(await zk.get_children("/app/inside")) == ["a", "b"]

    run(main())


def test_watch_functions_are_called_before_the_answer_that_shows_it(url: str) -> None:
    """Once each, in order."""

    async def main() -> None:
        async with KazooClient(url) as zk, KazooClient(url) as other:
            told: List[Any] = []
            await zk.ensure_path("/a")
            await zk.get("/a", told.append)
            await zk.get_children("/a", told.append)
            await zk.exists("/b", told.append)
            await other.set("/a", b"1")
            await other.create("/a/c")
            await other.create("/b")
            assert await zk.exists("/b")
            expected = [(EventType.CHANGED, "/a"), (EventType.CHILD, "/a"), (EventType.CREATED, "/b")]
            assert [(event.type, event.path) for event in told] == expected
            await other.set("/a", b"2")
            await zk.sync("/")
            assert len(told) == 3

    run(main())


def test_iterators(url: str) -> None:
    """A node's data, its children, all that changes below it, and the states."""

    async def main() -> None:
        async with KazooClient(url) as zk, KazooClient(url) as other:
            async with zk.data_watch("/a") as data, zk.states() as states:
                assert await data.__anext__() == (None, None)
                await other.create("/a", b"1")
                assert (await data.__anext__())[0] == b"1"
                await other.set("/a", b"2")
                await other.set("/a", b"3")
                assert (await data.__anext__())[0] in (b"2", b"3")
                assert await states.__anext__() == KazooState.CONNECTED
            seen = []
            async for names in zk.children_watch("/a"):
                seen.append(names)
                if names == ["b"]:
                    await other.delete("/a", recursive=True)
                else:
                    await other.create("/a/b")
            assert seen[:2] == [[], ["b"]]
            with pytest.raises(exceptions.NoNodeError):
                await zk.children_watch("/none").__anext__()
            assert len(zk._watches) == 0

    run(main())


def test_callbacks(memory_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """kazoo's DataWatch and ChildrenWatch: functions, coroutine functions and decorators; False ends them."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk, KazooClient(memory_url) as other:
            seen: List[Any] = []
            events: List[Any] = []
            news = asyncio.Event()

            async def on_data(data: Any, stat: Any, event: Any) -> None:
                seen.append((data, event and event.type))
                news.set()

            @zk.DataWatch("/a")
            def once(data: Any, stat: Any) -> bool:
                events.append(data)
                return False

            def on_children(names: List[str], event: Any) -> None:
                events.append((names, event and event.type))
                news.set()
                raise ZeroDivisionError

            async def told(value: Any) -> None:
                while value not in (*seen, *events):
                    news.clear()
                    await news.wait()

            watch = await zk.DataWatch("/a", on_data)
            assert seen == [(None, None)] and events == [None]
            with pytest.raises(exceptions.NoNodeError):
                await zk.ChildrenWatch("/a", on_children)
            with pytest.raises(exceptions.KazooException):
                watch(on_data)
            await other.create("/a", b"1")
            await told((b"1", EventType.CREATED))
            await zk.ChildrenWatch("/a", on_children, send_event=True)
            await other.create("/a/b")
            await told((["b"], EventType.CHILD))
            assert "ZeroDivisionError" in caplog.text
            assert zk._connection is not None
            zk._connection.hang_up()
            await other.set("/a", b"2")
            while seen[-1][0] != b"2":
                news.clear()
                await news.wait()
            await zk.ChildrenWatch("/a", print, allow_session_lost=False)
            assert len(zk._tasks) == 3
            watch.stop()
            await expire(other, zk.client_id)
            while len(zk._tasks) > 1:
                await asyncio.sleep(0.01)
            while len(zk._watches) != 1:
                await asyncio.sleep(0.01)
            await other.delete("/a", recursive=True)
            while zk._tasks:
                await asyncio.sleep(0.01)
            await other.sync("/")
            assert events.count(None) == 1 and len(seen) == 3
        with pytest.raises(exceptions.ConnectionClosedError):
            zk.DataWatch("/a", print)

    run(main())


def test_an_iterator_that_is_forgotten_leaves_nothing(memory_url: str) -> None:
    """Who breaks out of it; and one that waits ends with the client."""

    async def main() -> None:
        async with KazooClient(memory_url) as zk:
            await zk.create("/a")
            async for _ in zk.data_watch("/a"):
                break
            async for _ in zk.states():
                break
            watch = zk.watch("/a")
            waiting = asyncio.ensure_future(watch.__anext__())
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait({waiting})
            await zk.set("/a", b"x")
            assert (await watch.__anext__()).path == "/a"
            del watch, waiting
            assert len(zk._watches) == 0 and not zk._listeners
            ends = [asyncio.ensure_future(_all(each)) for each in (zk.watch("/a"), zk.states(), zk.data_watch("/a"))]
            await asyncio.sleep(0.01)
        assert [len(each) for each in await asyncio.gather(*ends)] == [0, 2, 1]

    async def _all(iterator: Any) -> List[Any]:
        return [each async for each in iterator]

    run(main())
