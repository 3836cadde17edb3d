"""An app that puts a class of its own where kazoo's module names ConnectionHandler finds it used, as kazoo uses it."""

from __future__ import annotations

import functools
import threading
from typing import Any, Callable, ClassVar, Dict, Iterator, List

import kazoo.client
import pytest
from kazoo.exceptions import ConfigurationError, NoNodeError
from kazoo.protocol.connection import ConnectionHandler as KazoosHandler
from kazoo.protocol.serialization import int_struct, read_string, write_string

import fk_kazoo.client
from fk_kazoo.connection import DeploymentConnection
from tests.client.programs.support import eventually

Connect = Callable[[], Any]


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Makes clients of the shipped class, connected, that are stopped when the test is over."""
    made: List[Any] = []

    def client() -> Any:
        made.append(fk_kazoo.client.KazooClient(url))
        made[-1].start()
        return made[-1]

    yield client
    for one in made:
        one.stop()
        one.close()


made: List[Any] = []


class Seeing(KazoosHandler):
    """Notes what it sees, in which thread, and leaves the rest to kazoo."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: List[Any] = []
        made.append(self)

    def _read_watch_event(self, buffer: bytes, offset: int) -> None:
        self.seen.append(("event", threading.current_thread()))
        super()._read_watch_event(buffer, offset)

    def _read_response(self, header: Any, buffer: bytes, offset: int) -> Any:
        self.seen.append(("response", threading.current_thread()))
        return super()._read_response(header, buffer, offset)

    def _submit(self, request: Any, timeout: float, xid: Any = None) -> None:
        self.seen.append((type(request).__name__, threading.current_thread()))
        super()._submit(request, timeout, xid)


class WithAnArgument(Seeing):
    """Its own callers give it one more."""

    def _read_watch_event(self, buffer: bytes, offset: int, header: Any = None) -> None:
        super()._read_watch_event(buffer, offset)

    def _read_socket(self, read_timeout: float) -> Any:
        self.seen.append(("socket", threading.current_thread()))
        return super()._read_socket(read_timeout)


class ThatNeedsAnArgument(WithAnArgument):
    """What it is made with, kazoo does not give."""

    def __init__(self, *args: Any, extra: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.extra = extra


def _function(*args: Any, **kwargs: Any) -> Any:
    return ThatNeedsAnArgument(*args, extra="more", **kwargs)


MAKERS = {
    "class": Seeing,
    "argument": WithAnArgument,
    "partial": functools.partial(ThatNeedsAnArgument, extra="more"),
    "function": _function,
}


def _use(client: Any) -> List[str]:
    events: List[str] = []
    assert (
        client.create("/n", b"1") == "/n" and client.get("/n", watch=lambda event: events.append(event.type))[0] == b"1"
    )
    client.set("/n", b"2")
    eventually(lambda: events == ["CHANGED"], what="the watch fired")
    with pytest.raises(NoNodeError):
        client.get("/missing")
    return events


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("module", [kazoo.client, fk_kazoo.client], ids=["kazoo", "fk_kazoo"])
def test_what_the_module_names_is_used(
    monkeypatch: pytest.MonkeyPatch, connect: Connect, module: Any, maker: str
) -> None:
    """In kazoo's module, or in the one that stands for it; and its methods are called in kazoo's thread only."""
    monkeypatch.setattr(module, "ConnectionHandler", MAKERS[maker])
    made.clear()
    client = connect()
    connection = client._connection
    assert made[-1] is connection and (len(made) == 1 or module is fk_kazoo.client)
    assert isinstance(connection, Seeing) and type(connection).__name__ in (
        "Seeing",
        "WithAnArgument",
        "ThatNeedsAnArgument",
    )
    assert getattr(connection, "extra", "more") == "more"
    _use(client)
    seen = connection.seen
    assert [name for name, _ in seen].count("event") == 1
    assert [name for name, _ in seen].count("response") >= 4
    assert [name for name, _ in seen if name in ("Create", "GetData", "SetData")] == [
        "Create", "GetData", "SetData", "GetData",
    ]  # fmt: skip
    assert len({thread for _, thread in seen}) == 1 and threading.current_thread() not in {thread for _, thread in seen}


def test_a_client_that_is_there_already_keeps_its_class(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    before = connect()
    monkeypatch.setattr(kazoo.client, "ConnectionHandler", Seeing)
    after = connect()
    monkeypatch.undo()
    last = connect()
    assert [isinstance(client._connection, Seeing) for client in (before, after, last)] == [False, True, False]
    assert all(isinstance(client._connection, DeploymentConnection) for client in (before, after, last))


def test_a_method_put_into_kazoos_own_class(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    theirs, seen = KazoosHandler._read_socket, []

    def read_socket(self: Any, read_timeout: float) -> Any:
        seen.append(read_timeout)
        return theirs(self, read_timeout)

    monkeypatch.setattr(KazoosHandler, "_read_socket", read_socket)
    _use(connect())
    assert len(seen) >= 5


def test_a_class_that_is_no_connection_of_kazoos(monkeypatch: pytest.MonkeyPatch, memory_url: str) -> None:
    class Other:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            pass

    monkeypatch.setattr(kazoo.client, "ConnectionHandler", Other)
    with pytest.raises(ConfigurationError, match="does not derive"):
        fk_kazoo.client.KazooClient(memory_url)


class AddWatch:
    """As apps bring it along."""

    type = 106

    def __init__(self, path: str, watcher: Any, mode: Any) -> None:
        self.path, self.watcher, self.mode = path, watcher, mode

    def serialize(self) -> bytes:
        return write_string(self.path) + int_struct.pack(0)

    @classmethod
    def deserialize(cls, data: bytes, offset: int) -> bool:
        return True


class Persistent(KazoosHandler):
    """Watches that stay are the app's own business: kazoo's method is not called for them."""

    watchers: ClassVar[Dict[str, Any]] = {}

    def _read_watch_event(self, buffer: bytes, offset: int) -> None:
        path, _ = read_string(buffer, offset + 2 * int_struct.size)
        if path in self.watchers:
            self.watchers[path](path)
        else:
            super()._read_watch_event(buffer, offset)


def test_watches_that_stay_in_the_apps_code(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    """Beside ours, and beside kazoo's that fire once."""
    theirs: List[str] = []
    ours: List[str] = []
    monkeypatch.setattr(kazoo.client, "ConnectionHandler", Persistent)
    monkeypatch.setattr(Persistent, "watchers", {"/n": theirs.append})
    client = connect()
    client.create("/n")
    client.create("/once")
    result = client.handler.async_result()
    client._call(AddWatch("/n", None, fk_kazoo.client.AddWatchMode.PERSISTENT), result)
    result.get(5)
    client.add_watch("/n", lambda event: ours.append(event.path))
    for number in range(3):
        client.set("/n", b"%d" % number)
    eventually(lambda: len(theirs) == 3 and len(ours) == 3, what="both were told three times")
    once: List[str] = []
    client.get("/once", watch=lambda event: once.append(event.path))
    client.set("/once", b"")
    client.set("/once", b"")
    eventually(lambda: once == ["/once"], what="once")
    assert theirs == ours == ["/n"] * 3
