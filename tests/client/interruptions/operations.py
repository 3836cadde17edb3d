"""The calls that are interrupted. Each one asks for something of its own, so that another one's answer is noticed."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple, Type

from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, NoNodeError, SessionExpiredError
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from fk_kazoo.exceptions import NoWatcherError
from fk_kazoo.requests import AddWatchMode

NODES = 40
CUT_OFF: Tuple[Type[Exception], ...] = (ConnectionClosedError, ConnectionLoss, SessionExpiredError)
"""What a call may raise when its client is stopped, restarted or reconnects meanwhile."""
EVENT_S = 4.0


def data(number: int) -> bytes:
    """Of a node: its length tells which one it is, too."""
    return (b"%d-" % number).ljust(10 + number, b".")


def acl(number: int) -> List[Any]:
    """Of a node: everybody may do everything, and one name says which one it is."""
    return [*OPEN_ACL_UNSAFE, make_digest_acl("u%d" % number, "p", read=True)]


def plant(client: Any) -> None:
    """The nodes that the calls are about."""
    for path in ("/n", "/u", "/v", "/c", "/t", "/e", "/w"):
        client.ensure_path(path)
    made = [client.create_async("/v/%d" % number, b"") for number in range(NODES)]
    made += [client.create_async("/u/%d" % number, b"") for number in range(NODES)]
    made += [client.create_async("/n/%d" % number, data(number), acl(number)) for number in range(NODES)]
    made += [client.create_async("/n/%d/c%d" % (number, number)) for number in range(NODES)]
    for each in made:
        each.get(timeout=20)


class Call:
    """One call of a client; ``number`` is its own. Subclasses say what is asked and what the right answer is."""

    expected: Tuple[Type[Exception], ...] = ()
    """What it raises if all goes well."""
    expected_anew: Tuple[Type[Exception], ...] = ()
    """What is right as well where it comes to a session that another thread has begun meanwhile."""

    def __init__(self, client: Any, number: int) -> None:
        self.client = client
        self.number = number
        self.key = number % NODES
        self.node = "/n/%d" % self.key
        self.own = "%d" % number

    def prepare(self) -> None:
        """Not interrupted."""

    def make(self) -> Any:
        """The call that is interrupted."""
        raise NotImplementedError

    def right(self, value: Any) -> bool:
        """Whether that is its answer."""
        raise NotImplementedError

    def after(self, answered: bool, other: Any) -> None:
        """Looks at what became of it, with the client usable again. AssertionError."""


class Create(Call):
    """A node of a name of its own."""

    def make(self) -> Any:
        return self.client.create("/c/" + self.own, self.own.encode())

    def right(self, value: Any) -> bool:
        return bool(value == "/c/" + self.own)

    def after(self, answered: bool, other: Any) -> None:
        found = self.client.exists("/c/" + self.own)
        assert found or not answered, "what was created is not there"


class CreateWithStat(Create):
    """The same with a Stat."""

    def make(self) -> Any:
        return self.client.create("/c/" + self.own, bytes(self.number), include_data=True)

    def right(self, value: Any) -> bool:
        return bool(value[0] == "/c/" + self.own and value[1].dataLength == self.number)


class EnsurePath(Call):
    """Two levels."""

    def make(self) -> Any:
        return self.client.ensure_path("/e/%s/x" % self.own)

    def right(self, value: Any) -> bool:
        return bool(value)

    def after(self, answered: bool, other: Any) -> None:
        assert self.client.exists("/e/%s/x" % self.own) or not answered, "what was ensured is not there"


class Delete(Call):
    """A node that is there."""

    def prepare(self) -> None:
        self.client.create("/c/" + self.own)

    def make(self) -> Any:
        return self.client.delete("/c/" + self.own)

    def right(self, value: Any) -> bool:
        return value is True

    def after(self, answered: bool, other: Any) -> None:
        assert not (answered and self.client.exists("/c/" + self.own)), "what was deleted is there"


class Exists(Call):
    """A node that is there."""

    def make(self) -> Any:
        return self.client.exists(self.node)

    def right(self, value: Any) -> bool:
        return bool(value.dataLength == len(data(self.key)))


class ExistsMissing(Call):
    """A node that is not there."""

    def make(self) -> Any:
        return self.client.exists("/missing")

    def right(self, value: Any) -> bool:
        return value is None


class Get(Call):
    """Data."""

    def make(self) -> Any:
        return self.client.get(self.node)

    def right(self, value: Any) -> bool:
        return bool(value[0] == data(self.key))


class GetMissing(Call):
    """An error is the answer."""

    expected = (NoNodeError,)

    def make(self) -> Any:
        return self.client.get("/missing")

    def right(self, value: Any) -> bool:
        return isinstance(value, NoNodeError)


class GetBehind(Get):
    """Data, behind a write that is not answered."""

    def prepare(self) -> None:
        self.written = self.client.set_async("/v/%d" % self.key, bytes(self.number))

    def after(self, answered: bool, other: Any) -> None:
        _becomes(self.written, lambda stat: stat.dataLength == self.number)


class GetChildren(Call):
    """Names."""

    def make(self) -> Any:
        return self.client.get_children(self.node)

    def right(self, value: Any) -> bool:
        return bool(value == ["c%d" % self.key])


class GetAcls(Call):
    """ACLs."""

    def make(self) -> Any:
        return self.client.get_acls(self.node)

    def right(self, value: Any) -> bool:
        return bool(value[0][-1].id.id.startswith("u%d:" % self.key))


class SetAcls(Call):
    """ACLs, as they are already."""

    def make(self) -> Any:
        return self.client.set_acls(self.node, acl(self.key))

    def right(self, value: Any) -> bool:
        return bool(value.dataLength == len(data(self.key)))


class Set(Call):
    """Data of a length of its own."""

    def prepare(self) -> None:
        self.version = self.client.get("/v/%d" % self.key)[1].version

    def make(self) -> Any:
        return self.client.set("/v/%d" % self.key, bytes(self.number))

    def right(self, value: Any) -> bool:
        return bool(value.dataLength == self.number and value.version == self.version + 1)

    def after(self, answered: bool, other: Any) -> None:
        found = self.client.get("/v/%d" % self.key)[1]
        done = found.version - self.version
        assert done == 1 or (done == 0 and not answered), "it was done %d times" % done


class Sync(Call):
    """The path comes back."""

    def make(self) -> Any:
        return self.client.sync(self.node)

    def right(self, value: Any) -> bool:
        return bool(value == self.node)


class Commit(Call):
    """A transaction of two."""

    def make(self) -> Any:
        transaction = self.client.transaction()
        transaction.check(self.node, 0)
        transaction.create("/t/" + self.own)
        return transaction.commit()

    def right(self, value: Any) -> bool:
        return bool(value == [True, "/t/" + self.own])

    def after(self, answered: bool, other: Any) -> None:
        assert self.client.exists("/t/" + self.own) or not answered, "what was committed is not there"


class AddAuth(Call):
    """Credentials."""

    def make(self) -> Any:
        return self.client.add_auth("digest", "u%d:p" % (self.number % 5))

    def right(self, value: Any) -> bool:
        return value is True


class Pipelined(Call):
    """Three requests at once, then their answers: an interruption costs none of those that were handed out."""

    def make(self) -> Any:
        self.results: List[Tuple[Any, Callable[[Any], bool]]] = []
        client, size = self.client, self.number
        asked = client.get_async(self.node)
        self.results.append((asked, lambda value: value[0] == data(self.key)))
        asked = client.set_async("/v/%d" % self.key, bytes(size))
        self.results.append((asked, lambda stat: stat.dataLength == size))
        asked = client.get_children_async(self.node)
        self.results.append((asked, lambda names: names == ["c%d" % self.key]))
        return [result.get(timeout=20) for result, _ in self.results]

    def right(self, value: Any) -> bool:
        return all(is_right(each) for each, (_, is_right) in zip(value, self.results))

    def after(self, answered: bool, other: Any) -> None:
        for result, is_right in self.results:
            _becomes(result, is_right)


class Watched(Call):
    """Leaves a watch. Where the call was answered, the event comes, once, and it is the right one."""

    def prepare(self) -> None:
        self.path = "/w/" + self.own
        self.client.create(self.path, self.own.encode())
        self.events: List[str] = []
        self.fired = self.client.handler.event_object()

    def watch(self, event: Any) -> None:
        """The watch function. A session that ends tells the watch functions, and with that the watch is over."""
        if event.path is not None:
            self.events.append(event.path)
            self.fired.set()

    def change(self, other: Any) -> None:
        """By another session."""
        other.set(self.path, b"changed")

    def after(self, answered: bool, other: Any) -> None:
        self.change(other)
        if answered and not self.cut_off:
            self.fired.wait(EVENT_S)
            assert self.events == [self.path], "events: %s" % self.events
        assert self.events in ([], [self.path]), "events: %s" % self.events

    cut_off = False
    """Whether the session was ended meanwhile, and the watch with it."""


class GetWatched(Watched):
    """A data watch."""

    def make(self) -> Any:
        return self.client.get(self.path, watch=self.watch)

    def right(self, value: Any) -> bool:
        return bool(value[0] == self.own.encode())


class ExistsWatched(Watched):
    """A data watch, too."""

    def make(self) -> Any:
        return self.client.exists(self.path, watch=self.watch)

    def right(self, value: Any) -> bool:
        return bool(value.dataLength == len(self.own))


class SetWatched(Watched):
    """A write that fires a watch of the same client: the event comes once, whatever becomes of the answer."""

    def prepare(self) -> None:
        super().prepare()
        self.client.get(self.path, watch=self.watch)

    def make(self) -> Any:
        return self.client.set(self.path, b"own")

    def right(self, value: Any) -> bool:
        return bool(value.version == 1)

    def after(self, answered: bool, other: Any) -> None:
        if self.client.get(self.path)[1].version == 0:
            assert not answered, "it was not done"
            self.change(other)
        if not self.cut_off:
            self.fired.wait(EVENT_S)
            assert self.events == [self.path], "events: %s" % self.events
        assert self.events in ([], [self.path]), "events: %s" % self.events


class GetChildrenWatched(Watched):
    """A child watch."""

    def make(self) -> Any:
        return self.client.get_children(self.path, watch=self.watch)

    def change(self, other: Any) -> None:
        other.create(self.path + "/x")

    def right(self, value: Any) -> bool:
        return bool(value == [])


class AddWatch(Watched):
    """A persistent one."""

    def make(self) -> Any:
        return self.client.add_watch(self.path, self.watch)

    def right(self, value: Any) -> bool:
        return value is None


class AddRecursiveWatch(AddWatch):
    """For all that is below, too."""

    def make(self) -> Any:
        return self.client.add_watch(self.path, self.watch, AddWatchMode.PERSISTENT_RECURSIVE)


class RemoveAllWatches(Watched):
    """Of a path. A new session has none."""

    expected_anew = (NoWatcherError,)

    def prepare(self) -> None:
        super().prepare()
        self.client.add_watch(self.path, self.watch)

    def make(self) -> Any:
        return self.client.remove_all_watches(self.path)

    def right(self, value: Any) -> bool:
        return value is None

    def after(self, answered: bool, other: Any) -> None:
        self.change(other)
        if answered:
            assert self.client.get(self.path)[0] == b"changed" and not self.events, "the watch is still there"


class Command(Call):
    """A four letter word."""

    def make(self) -> Any:
        return self.client.command(b"ruok")

    def right(self, value: Any) -> bool:
        return bool(value == "imok")


class CreateTtl(Call):
    """A node with a time to live."""

    def make(self) -> Any:
        return self.client.create_ttl("/c/" + self.own, 3600000)

    def right(self, value: Any) -> bool:
        return bool(value == "/c/" + self.own)


def _becomes(result: Any, is_right: Callable[[Any], bool]) -> None:
    """An answer that was promised comes, and it is the right one or tells that it was cut off."""
    try:
        value = result.get(timeout=EVENT_S)
    except CUT_OFF:
        return
    except Exception as error:
        raise AssertionError("a promised answer is %r" % error) from error
    assert is_right(value), "a promised answer is %r" % (value,)


OPERATIONS: Dict[str, Type[Call]] = {
    "create": Create,
    "create_with_stat": CreateWithStat,
    "create_ttl": CreateTtl,
    "ensure_path": EnsurePath,
    "delete": Delete,
    "exists": Exists,
    "exists_missing": ExistsMissing,
    "get": Get,
    "get_missing": GetMissing,
    "get_behind": GetBehind,
    "get_children": GetChildren,
    "get_acls": GetAcls,
    "set_acls": SetAcls,
    "set": Set,
    "set_watched": SetWatched,
    "sync": Sync,
    "commit": Commit,
    "add_auth": AddAuth,
    "pipelined": Pipelined,
    "get_watched": GetWatched,
    "exists_watched": ExistsWatched,
    "get_children_watched": GetChildrenWatched,
    "add_watch": AddWatch,
    "add_recursive_watch": AddRecursiveWatch,
    "remove_all_watches": RemoveAllWatches,
    "command": Command,
}
