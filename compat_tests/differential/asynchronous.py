"""`runner` through `fk_kazoo.aio`: the same programs, and the same transcripts of them, in one event loop."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any, Awaitable, Callable, Dict, List, Sequence, Tuple

from kazoo.exceptions import NoNodeError
from kazoo.protocol.paths import _prefix_root
from kazoo.protocol.serialization import SetData
from kazoo.protocol.states import EVENT_TYPE_MAP, KazooState

from fk_kazoo import jute
from fk_kazoo.aio import KazooClient
from fk_kazoo.aio.session import Life
from fk_kazoo.requests import CreateContainer, CreateTTL

from .calls import CLEANER, PERSISTENT, RECURSIVE, acl, in_any_order, transaction_of
from .compare import differences
from .corpus import Recorded
from .runner import PATIENCE_S, TIMEOUT_S, Program, Transcript
from .transcript import Encoder, ranked

BELOW = "/differential"
Watchers = Dict[str, Callable[[Any], None]]


def start(c: Any, call: List[Any], w: Watchers) -> Any:
    """A call of a program, as `calls.start`: to be awaited."""
    name, *rest = call
    path = rest[0]
    if name == "create":
        _, data, name_of_acl, flags, stat = rest
        return c.create(path, data.encode("latin-1"), acl(name_of_acl), bool(flags & 1), bool(flags & 2), False, stat)
    if name == "container":
        return c._ask(CreateContainer(_prefix_root(c.chroot, path), rest[1].encode("latin-1"), acl("open"), 4))
    if name == "ttl":
        full = _prefix_root(c.chroot, path, trailing=rest[2] == 6)
        return c._ask(CreateTTL(full, rest[1].encode("latin-1"), acl("open"), rest[2], rest[3]))
    if name == "multi":
        return transaction_of(c, path).commit()
    return _OTHERS[name](c, w, *rest)


_OTHERS: Dict[str, Callable[..., Awaitable[Any]]] = {
    "delete": lambda c, _, path, version: c.delete(path, version),
    "set": lambda c, _, path, data, version: c.set(path, data.encode("latin-1"), version),
    "get": lambda c, w, path, watch: c.get(path, w.get(watch)),
    "exists": lambda c, w, path, watch: c.exists(path, w.get(watch)),
    "children": lambda c, w, path, watch, stat: c.get_children(path, w.get(watch), include_data=stat),
    "get_acls": lambda c, _, path: c.get_acls(path),
    "set_acls": lambda c, _, path, name, version: c.set_acls(path, acl(name), version),
    "sync": lambda c, _, path: c.sync(path),
    "auth": lambda c, _, credential: c.add_auth("digest", credential),
    "add_watch": lambda c, w, path, mode: c.add_watch(path, w[mode], mode),
    "remove_watches": lambda c, _, path: c.remove_all_watches(path),
    "fence": lambda c, _, request: c._ask(request),
}


class ProgramSession:
    """One session, and what it was told, as `runner.ProgramSession`."""

    def __init__(self, client: KazooClient, encode: Encoder, name: str) -> None:
        self.name, self.client, self._encode = name, client, encode
        self._asked: List[List[Any]] = []
        self._values: List[Any] = []
        self.wire: List[Any] = []
        self._states: List[str] = []
        self._calls: Dict[str, List[Any]] = {}
        self._is_ending = False
        self.watchers: Watchers = {label: self._watcher(label) for label in ("a", "b")}
        self.watchers.update({mode: lambda event: None for mode in (PERSISTENT, RECURSIVE)})

    async def begin(self, chroot: str) -> None:
        """Opens the session."""
        client = self.client
        client.add_listener(self._states.append)
        await client.start(PATIENCE_S)
        client.chroot = chroot
        assert client.client_id is not None
        self._encode.sessions[client.client_id[0]] = self.name
        answered, fired = client.answered, client.fired

        def tapped_answer(call: Any, result: Any) -> None:
            if call.request.type != jute.AUTH:
                self._record(None)
            answered(call, result)

        def tapped_event(event: Any) -> None:
            self._record(["event", EVENT_TYPE_MAP[event.kind], self._encode.path(event.path)])
            fired(event)

        client.answered, client.fired = tapped_answer, tapped_event  # type: ignore[method-assign]

    def _record(self, item: Any) -> None:
        if not self._is_ending:
            self.wire.append(item)

    def _watcher(self, label: str) -> Callable[[Any], None]:
        def watch(event: Any) -> None:
            if not self._is_ending:
                self._calls.setdefault(label, []).append([event.type, event.path or "", event.state])

        return watch

    async def ask(self, calls: List[List[Any]]) -> List[Any]:
        """Makes the calls, all at once, and waits for all; the values."""
        tasks = [asyncio.ensure_future(self._one(call)) for call in calls]
        values = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE_S)
        for call, value in zip(calls, values):
            if call[0] != "auth" and (not isinstance(value, Exception) or hasattr(value, "code")):
                self._asked.append(call if call[0] != "fence" else ["fence"])
                if call[0] == "fence" and not isinstance(value, Exception):
                    value = True
                self._values.append(self._encode(in_any_order(call, value)))
            else:
                self._calls.setdefault("at once", []).append([call[0], self._encode(value)])
        return values

    async def _one(self, call: List[Any]) -> Any:
        return await start(self.client, call, self.watchers)

    async def reconnect(self) -> None:
        """Breaks the connection; done when there is another one."""
        assert self.client._connection is not None
        self.client._connection.hang_up()
        assert self.client.state == KazooState.SUSPENDED
        await Life.start(self.client, PATIENCE_S)  # which asks for nothing

    async def end(self) -> None:
        """Ends the session, when every callback has been made."""
        await asyncio.sleep(0)
        self._calls = {label: sorted(events) for label, events in self._calls.items()}
        self._is_ending = True
        await self.client.stop()

    def account(self) -> Dict[str, Any]:
        """What it was told."""
        replies = iter(zip(self._asked, self._values))
        told = [item or ["reply", *next(replies)] for item in self.wire]
        assert next(replies, None) is None, "%s was not answered everything on the wire" % self.name
        return {"told": told, "states": list(self._states), "calls": self._calls}


class Run:
    """One run of one program, as `runner.Run`."""

    def __init__(self, url: str, place: str, fence: SetData) -> None:
        self._url, self._root, self._fence_by = url, place, fence
        self._encode = Encoder(place)
        self._here: Dict[int, ProgramSession] = {}
        self._accounts: Dict[str, Any] = {}
        self._count = itertools.count()
        self._is_quiet = True

    async def through(self, program: Program) -> Transcript:
        """All of it, and a last look at everything."""
        try:
            for slot in sorted({step[0] for step in program}):
                await self._session_of(slot)
            for slot, calls in program:
                session = await self._session_of(slot)
                if calls == ["end"]:
                    await self._end(slot)
                elif calls == ["reconnect"]:
                    await self._fence()
                    await session.reconnect()
                else:
                    await session.ask(calls)
                    self._is_quiet = False
            await self._fence()
            await self._read_the_tree()
            for slot in sorted(self._here):
                await self._end(slot)
            transcript: Transcript = ranked(self._accounts)
            return transcript
        finally:
            for session in self._here.values():
                await session.client.stop()

    async def _session_of(self, slot: int) -> ProgramSession:
        if slot not in self._here:
            client = KazooClient(self._url, timeout=TIMEOUT_S)
            session = self._here[slot] = ProgramSession(client, self._encode, "%d.%d" % (slot, next(self._count)))
            await session.begin(self._root)
        return self._here[slot]

    async def _fence(self) -> None:
        """Everybody is told what there is to be told until now."""
        if not self._is_quiet:
            fence = [["fence", self._fence_by]]
            await asyncio.gather(*(self._here[slot].ask(fence) for slot in sorted(self._here)))
        self._is_quiet = True

    async def _end(self, slot: int) -> None:
        await self._fence()
        session = self._here.pop(slot)
        await session.end()
        self._accounts[session.name] = session.account()
        self._is_quiet = False
        await self._fence()
        for other in sorted(self._here):
            self._here[other].wire.append(["end", session.name])

    async def _read_the_tree(self) -> None:
        slot = min(self._here) if self._here else 0
        level = ["/"]
        while level:
            calls = [[["get", path, ""], ["get_acls", path], ["children", path, "", True]] for path in level]
            found = (await (await self._session_of(slot)).ask([call for three in calls for call in three]))[2::3]
            level = sorted(
                "%s/%s" % (path.rstrip("/"), name)
                for path, names in zip(level, found)
                if not isinstance(names, Exception)
                for name in names[0]
            )


async def replay(url: str, recorded: Sequence[Recorded], at_once: int) -> List[Tuple[int, Program, List[str]]]:
    """Runs the programs; those that differ, with what differs."""
    different: List[Tuple[int, Program, List[str]]] = []
    numbers = iter(range(len(recorded)))
    async with KazooClient(url, timeout=TIMEOUT_S) as admin:
        await admin.add_auth("digest", CLEANER)
        await admin.ensure_path(BELOW + "/fence")
        fence = SetData(BELOW + "/fence", b"", -1)

        async def worker() -> None:
            for number in numbers:
                program, transcript = recorded[number]
                place = "%s/p%d" % (BELOW, number)
                await admin.create(place)
                try:
                    seen = json.loads(json.dumps(await Run(url, place, fence).through(program)))
                    found = differences(transcript, seen)
                except Exception as error:
                    found = ["it failed: %r" % error]
                if found:
                    different.append((number, program, found))
                await admin.delete(place, recursive=True)

        await asyncio.gather(*(worker() for _ in range(at_once)))
        try:
            await admin.delete(BELOW, recursive=True)
        except NoNodeError:
            pass
    return sorted(different, key=lambda each: each[0])
