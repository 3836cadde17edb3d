"""How apps use the client, rightly and wrongly; read by type checkers only, see test_uses.py.

A line that ends with ``# wrong`` is an error for each of them, and no other line is.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import FrozenSet, List, Optional, Tuple, Union

from kazoo.client import KazooClient as KazoosClient
from kazoo.recipe.lock import Lock as KazoosLock
from typing_extensions import assert_type

import fk_kazoo.client
import fk_kazoo.exceptions
from fk_kazoo.client import AddWatchMode, KazooClient, KazooState, TransactionRequest, WatchedEvent
from fk_kazoo.client import KazooRetry as Retry
from fk_kazoo.exceptions import (
    ConnectionLoss,
    DeploymentConfigurationError,
    KazooException,
    NoNodeError,
    NoNodeException,
    PayloadTooLargeError,
    ZookeeperError,
)
from fk_kazoo.handlers.eventlet import SequentialEventletHandler
from fk_kazoo.handlers.gevent import SequentialGeventHandler
from fk_kazoo.handlers.threading import KazooTimeoutError, SequentialThreadingHandler
from fk_kazoo.hosts import collect_hosts
from fk_kazoo.interfaces import IAsyncResult, IHandler
from fk_kazoo.kept_ephemeral import KeptEphemeral
from fk_kazoo.locks import Lock as OurLock
from fk_kazoo.locks import Lost
from fk_kazoo.loggingsupport import BLATHER
from fk_kazoo.protocol.paths import join, normpath
from fk_kazoo.protocol.serialization import Create, GetData
from fk_kazoo.protocol.states import EventType, KeeperState, ZnodeStat
from fk_kazoo.recipe.barrier import Barrier, DoubleBarrier
from fk_kazoo.recipe.cache import NodeData, TreeCache, TreeEvent
from fk_kazoo.recipe.counter import Counter
from fk_kazoo.recipe.election import Election
from fk_kazoo.recipe.lease import MultiNonBlockingLease, NonBlockingLease
from fk_kazoo.recipe.lock import Lock, ReadLock, Semaphore, WriteLock
from fk_kazoo.recipe.nothing import Nothing  # wrong
from fk_kazoo.recipe.partitioner import PartitionState, SetPartitioner
from fk_kazoo.recipe.party import Party, ShallowParty
from fk_kazoo.recipe.queue import LockingQueue, Queue
from fk_kazoo.recipe.watchers import ChildrenWatch, DataWatch, PatientChildrenWatch
from fk_kazoo.retry import ForceRetryError, KazooRetry, RetryFailedError
from fk_kazoo.security import ACL, CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, Id, Permissions, make_acl, make_digest_acl
from fk_kazoo.testing import KazooTestCase, KazooTestHarness
from fk_kazoo.version import __version__
from fk_kazoo.why import Why

# --- what kazoo.client has from other modules ---

client = fk_kazoo.client
client.ACL, client.Auth, client.AuthFailedError, client.BLATHER, client.Barrier, client.CLOSED_STATES, client.Callback
client.CheckVersion, client.ChildrenWatch, client.CloseInstance, client.ConfigurationError
client.ConnectionClosedError, client.ConnectionHandler, client.ConnectionLoss, client.Counter, client.Create
client.Create2, client.DataWatch, client.Delete, client.DoubleBarrier, client.Election, client.EventType
client.Exists, client.GetACL, client.GetChildren, client.GetChildren2, client.GetData, client.KazooException
client.KazooRetry, client.KazooState, client.KeeperState, client.Lock, client.LockingQueue
client.MultiNonBlockingLease, client.NoNodeError, client.NodeExistsError, client.NonBlockingLease
client.OPEN_ACL_UNSAFE, client.Party, client.Queue, client.ReadLock, client.Reconfig, client.Semaphore
client.SequentialThreadingHandler, client.SessionExpiredError, client.SetACL, client.SetData, client.SetPartitioner
client.ShallowParty, client.Sync, client.Transaction, client.WatchedEvent, client.WriteLock
client.WriterNotClosedException, client.capture_exceptions, client.collect_hosts, client.normpath, client.wrap
client.Nothing  # wrong

# --- a client ---

zk = KazooClient()
KazooClient("local://jobs")
KazooClient(["10.0.0.1:2181", "/chroot"], 5, (1, b"password"))
KazooClient(hosts=None, timeout=1.5, logger=logging.getLogger(), read_only=True)
KazooClient(handler=SequentialThreadingHandler(), command_retry=KazooRetry(max_tries=-1))
KazooClient(handler=SequentialGeventHandler(), connection_retry={"max_tries": 3})
KazooClient(handler=SequentialEventletHandler(), auth_data=[("digest", "me:secret")], default_acl=OPEN_ACL_UNSAFE)
KazooClient(hosts=1)  # wrong
KazooClient(timeout="10")  # wrong
KazooClient(handler=SequentialThreadingHandler)  # wrong
KazooClient(auth_data="digest:me")  # wrong
KazooClient(default_acl=make_digest_acl("me", "secret", all=True))  # wrong
KazooClient(client_id=1)  # wrong

assert_type(zk.start(), None)
zk.start(timeout=3.5)
zk.start("3")  # wrong
zk.start_async().wait(1.0)
zk.stop()
zk.restart()
zk.close()
zk.nonsense()  # wrong
zk.nonsense = 1  # wrong
assert_type(zk.connected, bool)
zk.connected = True  # wrong
assert_type(zk.client_id, Optional[Tuple[int, bytes]])
assert_type(zk.chroot, str)
assert_type(zk.command(b"ruok"), str)
zk.command("ruok")  # wrong
assert_type(zk.server_version(), Tuple[int, ...])
assert_type(zk.add_auth("digest", "me:secret"), bool)
zk.add_auth("digest", b"me:secret")  # wrong
assert_type(zk.unchroot("/a"), str)
zk.set_hosts("local://jobs")
zk.set_hosts(None, randomize_hosts=False)
zk.handler.sleep_func(0.1)
zk.handler.spawn(zk.stop)
zk.handler.nonsense()  # wrong


def connect() -> None:
    """What handlers raise can be caught."""
    try:
        zk.start()
    except zk.handler.timeout_exception:
        pass
    except KazooTimeoutError as error:
        error.code  # wrong
    except DeploymentConfigurationError:
        pass


# --- states and listeners ---


def listener(state: str) -> bool:
    """Any callable that takes a string is one."""
    return state == KazooState.LOST


def bad_listener(state: int) -> None:
    """No state is a number."""


@zk.add_listener
def decorated(state: str) -> None:
    """kazoo's add_listener returns nothing, so this is None; the client has the function all the same."""


zk.add_listener(listener)


def told_by_its_class(state: KazooState) -> None:
    """As kazoo's docstring has it."""


zk.add_listener(told_by_its_class)
zk.add_listener(lambda state: print(state.lower()))
zk.remove_listener(listener)
zk.add_listener(bad_listener)  # wrong
zk.add_listener(None)  # wrong
if zk.state == KazooState.CONNECTED and zk.client_state == KeeperState.CONNECTED_RO:
    pass
if zk.state == "connected":  # wrong for mypy
    pass
KazooState.GONE  # wrong

# --- reading ---

assert_type(zk.get("/a"), Tuple[bytes, ZnodeStat])
data, stat = zk.get("/a")
data.decode().split(",")
data.split(",")  # wrong
data, stat, more = zk.get("/a")  # wrong
zk.get(b"/a")  # wrong
zk.get()  # wrong
zk.get("/a", include_data=True)  # wrong
zk.get("/a").decode()  # wrong
assert_type(stat.version, int)
assert_type(stat.czxid, int)
assert_type(stat.ephemeralOwner, int)
assert_type(stat.owner_session_id, Optional[int])
assert_type(stat.last_modified, float)
stat.nonsense  # wrong
stat.version = 1  # wrong
assert_type(zk.exists("/a"), Optional[ZnodeStat])
zk.exists("/a").version  # wrong
found = zk.exists("/a")
if found:
    assert_type(found.version, int)
assert_type(zk.get_children("/a"), List[str])
assert_type(zk.get_children("/a", include_data=False), List[str])
assert_type(zk.get_children("/a", include_data=True), Tuple[List[str], ZnodeStat])
assert_type(zk.get_children("/a", None, True), Tuple[List[str], ZnodeStat])
zk.get_children("/a").version  # wrong
zk.get_children("/a", include_data=True).sort()  # wrong
zk.get_children("/a", include_data="yes")  # wrong
assert_type(zk.get_acls("/a"), Tuple[List[ACL], ZnodeStat])
assert_type(zk.sync("/a"), str)

# --- writing ---

assert_type(zk.create("/a"), str)
assert_type(zk.create("/a", b"x", ephemeral=True, sequence=True, makepath=True), str)
assert_type(zk.create("/a", b"x", include_data=True), Tuple[str, ZnodeStat])
assert_type(zk.create("/a", b"x", None, False, False, False, True), Tuple[str, ZnodeStat])
zk.create("/a", acl=[make_digest_acl("me", "secret", read=True)])
zk.create("/a", acl=CREATOR_ALL_ACL)
zk.create("/a", "x")  # wrong
zk.create("/a", acl=make_digest_acl("me", "secret", read=True))  # wrong
zk.create("/a", ephemral=True)  # wrong
zk.create("/a", b"x", include_data=True).upper()  # wrong
assert_type(zk.set("/a", b"x"), ZnodeStat)
zk.set("/a", b"x", version=stat.version)
zk.set("/a", "x")  # wrong
zk.set("/a")  # wrong
zk.set("/a", b"x", version="1")  # wrong
zk.delete("/a", version=3)
zk.delete("/a", recursive=True)
zk.delete("/a", recursive="yes")  # wrong
zk.ensure_path("/a/b/c")
zk.ensure_path("/a/b/c", makepath=True)  # wrong
assert_type(zk.set_acls("/a", [ACL(Permissions.ALL, Id("world", "anyone"))]), ZnodeStat)
zk.set_acls("/a", ACL(Permissions.ALL, Id("world", "anyone")))  # wrong
assert_type(zk.create_container("/a", b"x"), str)
assert_type(zk.create_ttl("/a", 1000, b"x", sequence=True), str)
zk.create_ttl("/a", b"x")  # wrong

# --- asynchronous results ---

asked = zk.get_async("/a")
assert_type(asked, IAsyncResult[Tuple[bytes, ZnodeStat]])
assert_type(asked.get(timeout=1), Tuple[bytes, ZnodeStat])
assert_type(asked.get_nowait(), Tuple[bytes, ZnodeStat])
assert_type(asked.value, Optional[Tuple[bytes, ZnodeStat]])
assert_type(asked.exception, Optional[BaseException])
assert_type(asked.ready(), bool)
assert_type(asked.successful(), bool)
assert_type(asked.wait(1.0), bool)
asked.get().decode()  # wrong
asked.nonsense()  # wrong
asked[0]  # wrong
assert_type(zk.create_async("/a"), IAsyncResult[str])
assert_type(zk.create_async("/a", include_data=True), IAsyncResult[Tuple[str, ZnodeStat]])
assert_type(zk.exists_async("/a"), IAsyncResult[Optional[ZnodeStat]])
assert_type(zk.get_children_async("/a"), IAsyncResult[List[str]])
assert_type(zk.get_children_async("/a", include_data=True), IAsyncResult[Tuple[List[str], ZnodeStat]])
assert_type(zk.get_acls_async("/a"), IAsyncResult[Tuple[List[ACL], ZnodeStat]])
assert_type(zk.set_async("/a", b"x"), IAsyncResult[ZnodeStat])
assert_type(zk.set_acls_async("/a", OPEN_ACL_UNSAFE), IAsyncResult[ZnodeStat])
assert_type(zk.delete_async("/a"), IAsyncResult[bool])
assert_type(zk.sync_async("/a"), IAsyncResult[str])
assert_type(zk.reconfig_async(None, None, None, -1), IAsyncResult[Tuple[bytes, ZnodeStat]])
zk.delete_async("/a", recursive=True)  # wrong


def on_answer(result: IAsyncResult[Tuple[bytes, ZnodeStat]]) -> None:
    """Linked to what `get_async` gives."""
    value, _ = result.get()
    value.decode()


def on_any_answer(result: IAsyncResult) -> None:
    """Of whatever, as kazoo's documentation has it."""
    result.get().whatever()


asked.rawlink(on_any_answer)
asked.rawlink(on_answer)
zk.set_async("/a", b"x").rawlink(on_answer)  # wrong

# --- watches ---


def on_event(event: WatchedEvent) -> None:
    """A watch function."""
    if event.type == EventType.DELETED and event.state != KeeperState.CONNECTING:
        assert_type(event.path, Optional[str])
        event.path.upper()  # wrong


def on_nothing() -> None:
    """Takes no event: no watch function."""


zk.get("/a", on_event)
zk.exists("/a", watch=on_event)
zk.get_children("/a", watch=on_event, include_data=True)
zk.get("/a", watch=on_nothing)  # wrong
zk.get("/a", watch=True)  # wrong
zk.add_watch("/a", on_event)
zk.add_watch("/a", on_event, AddWatchMode.PERSISTENT_RECURSIVE)
zk.add_watch("/a", on_nothing)  # wrong
assert_type(zk.add_watch_async("/a", on_event), IAsyncResult[bool])
zk.remove_all_watches("/a")


@zk.DataWatch("/a")
def on_data(data: Optional[bytes], stat: Optional[ZnodeStat]) -> bool:
    """Keeps its type."""
    return data is not None and stat is not None


@zk.DataWatch("/a")
def on_data_and_event(data: Optional[bytes], stat: Optional[ZnodeStat], event: Optional[WatchedEvent]) -> None:
    """The event may be asked for."""


@zk.DataWatch("/a")  # wrong
def on_data_that_is_there(data: bytes, stat: ZnodeStat) -> None:
    """The node may be missing."""


@zk.DataWatch("/a")  # wrong
def on_data_only(data: Optional[bytes]) -> None:
    """Takes too little."""


@zk.ChildrenWatch("/a")
def on_children(children: List[str]) -> bool:
    """Keeps its type."""
    return bool(children)


@zk.ChildrenWatch("/a", send_event=True)
def on_children_and_event(children: List[str], event: Optional[WatchedEvent]) -> None:
    """The event may be asked for."""


@zk.ChildrenWatch("/a")  # wrong
def on_child(child: str) -> None:
    """It is a list."""


assert_type(on_data(b"x", None), bool)
on_data("x", None)  # wrong
assert_type(on_children(["x"]), bool)
on_children("x")  # wrong
assert_type(zk.DataWatch("/a", on_data), DataWatch)
assert_type(ChildrenWatch(zk, "/a", on_children), ChildrenWatch)
zk.DataWatch("/a", on_children)  # wrong
zk.DataWatch(zk, "/a")  # wrong
PatientChildrenWatch(zk, "/a", time_boundary=0.5).start().get()

# --- transactions ---

transaction = zk.transaction()
assert_type(transaction, TransactionRequest)
transaction.create("/a", b"x", ephemeral=True)
transaction.set_data("/a", b"x", version=1)
transaction.check("/a", 1)
transaction.delete("/a")
transaction.check("/a")  # wrong
transaction.create("/a", b"x", makepath=True)  # wrong
transaction.set("/a", b"x")  # wrong
results = transaction.commit()
assert_type(results, List[Union[str, bool, ZnodeStat, ZookeeperError]])
results[0].upper()  # wrong
if isinstance(results[0], ZookeeperError):
    assert_type(results[0].code, int)
with zk.transaction() as inner:
    inner.delete("/a")
    inner.nonsense()  # wrong

# --- locks ---

with zk.Lock("/lock", "me"):
    pass
with KazoosClient().Lock("/lock") as nothing:
    nothing.release()  # wrong
lock = zk.Lock("/lock", identifier="me")
assert_type(lock, OurLock)
assert_type(lock.acquire(blocking=False), bool)
assert_type(lock.acquire(timeout=1.5), bool)
assert_type(lock.release(), bool)
assert_type(lock.contenders(), List[str])
assert_type(lock.is_acquired, bool)
lock.acquire(timeout="1")  # wrong
lock.nonsense()  # wrong
zk.Lock()  # wrong
zk.Lock(zk, "/lock")  # wrong
zk.Lock("/lock", identifer="me")  # wrong
reading: ReadLock = zk.ReadLock("/lock")
writing: WriteLock = zk.WriteLock("/lock", lost=Lost.RAISE)
semaphore = zk.Semaphore("/semaphore", max_leases=3)
leases: Semaphore = semaphore
assert_type(semaphore.lease_holders(), List[str])
with semaphore:
    pass
zk.Semaphore("/semaphore", max_leases="3")  # wrong
assert_type(Lock(zk, "/lock"), Lock)
theirs: KazoosLock = lock
theirs_too: KazoosClient = zk
ours: KazooClient = KazoosClient()  # wrong
Lock("/lock", zk)  # wrong
with zk.Lock("/lock", lost=Lost.RAISE) as held:
    assert_type(held, OurLock)
    assert_type(held.fence, int)
    held.lost.wait(1.0)
    held.fence = 1  # wrong
    held.fence.upper()  # wrong
zk.Lock("/lock", lost="raise")  # wrong
zk.Lock("/lock", "me", (), Lost.RAISE)  # wrong
KazoosClient().Lock("/lock", lost=Lost.RAISE)  # wrong
with zk.Semaphore("/semaphore", lost=Lost.TELL) as leased:
    assert_type(leased.fence, int)
assert_type(zk.create_once("/a", b"x", sequence=True), str)
zk.create_once("/a", "x")  # wrong
zk.create_once("/a", include_data=True)  # wrong
with zk.keep("/services/a", b"x") as kept:
    assert_type(kept, KeptEphemeral)
    assert_type(kept.there, bool)
    kept.set("x")  # wrong
zk.keep("/services/a", ephemeral=True)  # wrong
assert_type(zk.why, Why)
assert_type(zk.why.reason, str)
zk.why = None  # wrong
zk.why.nonsense  # wrong

# --- the other recipes ---


def lead(name: str, times: int = 1) -> None:
    """Run by who leads."""


election = zk.Election("/election", "me", lost=Lost.RAISE)
assert_type(election.fence, int)
elected: Election = election
election.run(lead, "me", times=2)
election.run(lead)  # wrong
election.run(lead, "me", time=2)  # wrong
assert_type(election.contenders(), List[str])
election.cancel()

counter = zk.Counter("/counter")
assert_type(counter, Counter[int])
counter += 2
assert_type(counter.value, int)
counter += "2"  # wrong
floating = zk.Counter("/counter", default=1.5)
floating -= 0.5
assert_type(floating.value, float)
Counter(zk, "/counter", default=1)
Counter(zk, "/counter", default="1")  # wrong

assert_type(zk.Barrier("/barrier"), Barrier)
assert_type(zk.Barrier("/barrier").wait(timeout=1.0), bool)
assert_type(zk.DoubleBarrier("/barrier", num_clients=2), DoubleBarrier)
zk.DoubleBarrier("/barrier")  # wrong

queue = zk.Queue("/queue")
assert_type(queue, Queue)
queue.put(b"x", priority=10)
queue.put("x")  # wrong
assert_type(queue.get(), Optional[bytes])
queue.get().decode()  # wrong
assert_type(len(queue), int)
locking = zk.LockingQueue("/queue")
assert_type(locking, LockingQueue)
locking.put_all([b"x", b"y"])
locking.put_all(b"x")  # wrong
assert_type(locking.get(timeout=1), Optional[bytes])
assert_type(locking.consume(), bool)

party = zk.Party("/party", "me")
assert_type(party, Party)
party.join()
assert_type(list(party), List[str])
assert_type(list(zk.ShallowParty("/party")), List[str])
ShallowParty(zk, "/party").leave()
zk.Party("/party", 1)  # wrong

assert_type(zk.NonBlockingLease("/lease", timedelta(minutes=1)), NonBlockingLease)
assert_type(zk.MultiNonBlockingLease(3, "/lease", timedelta(minutes=1), "me"), MultiNonBlockingLease)
zk.NonBlockingLease("/lease", 60)  # wrong

partitioner = zk.SetPartitioner("/partitioner", set=list(range(3)), time_boundary=0.5)
assert_type(partitioner, SetPartitioner[int])
if partitioner.acquired and partitioner.state == PartitionState.ACQUIRED:
    for item in partitioner:
        assert_type(item, int)
partitioner.release()  # wrong
partitioner.release_set()

cache = TreeCache(zk, "/tree")
cache.start()
assert_type(cache.get_data("/tree/a"), Optional[NodeData])
assert_type(cache.get_data("/tree/a", 1), Union[NodeData, int])
assert_type(cache.get_children("/tree"), Optional[FrozenSet[str]])
cache.get_data("/tree/a").data  # wrong


@cache.listen
def on_tree(event: TreeEvent) -> None:
    """Keeps its type."""
    if event.event_type == TreeEvent.NODE_ADDED and event.event_data is not None:
        assert_type(event.event_data.data, bytes)


on_tree("x")  # wrong
cache.listen(lambda: None)  # wrong

# --- retries ---

assert_type(zk.retry(zk.get, "/a"), Tuple[bytes, ZnodeStat])
assert_type(zk.retry(zk.exists, "/a"), Optional[ZnodeStat])
zk.retry(zk.get)  # wrong
zk.retry(zk.set, "/a", "x")  # wrong
zk.retry("/a")  # wrong
retry = KazooRetry(max_tries=None, delay=0.5, deadline=10, interrupt=lambda: False)
assert_type(retry.copy(), KazooRetry)
assert_type(retry(zk.set, "/a", b"x", version=1), ZnodeStat)
retry(zk.set, "/a")  # wrong
KazooRetry(tries=3)  # wrong
Retry.nonsense  # wrong

# --- exceptions ---


def read() -> bytes:
    """Every exception is a class of its own."""
    try:
        return zk.get("/a")[0]
    except NoNodeException:
        raise ForceRetryError from None
    except PayloadTooLargeError as error:
        lost: ConnectionLoss = error
        raise lost from None
    except RetryFailedError as error:
        failed: KazooException = error
        no: NoNodeError = error  # wrong
        raise failed from no
    except fk_kazoo.exceptions.NothingError:  # wrong
        raise


NoNodeError().code = "x"  # wrong

# --- what is left ---

assert_type(make_acl("digest", "me:hash", read=True), ACL)
assert_type(make_acl("world", "anyone", all=True).acl_list, List[str])
make_acl("digest")  # wrong
assert_type(collect_hosts("a:1,b:2/c"), Tuple[List[Tuple[str, int]], Optional[str]])
assert_type(join("/a", "b"), str)
normpath(b"/a")  # wrong
assert_type(__version__, str)
logging.log(BLATHER, "x")
Create("/a", b"x", OPEN_ACL_UNSAFE, 0)
GetData("/a")  # wrong


def waiting(handler: IHandler) -> IAsyncResult[int]:
    """A handler's parts."""
    handler.select()
    event = handler.event_object()
    event.wait(1)
    return handler.async_result()


waiting(SequentialThreadingHandler()).set(1)
waiting(zk)  # wrong


class Harness(KazooTestHarness):
    """A test case of an app."""

    def setUp(self) -> None:
        """As kazoo's documentation has it."""
        self.setup_zookeeper(timeout=5)
        self.client.ensure_path("/a")

    def tearDown(self) -> None:
        """As kazoo's documentation has it."""
        self.teardown_zookeeper()


class Case(KazooTestCase):
    """A test case of an app."""

    def test_expiry(self) -> None:
        """What the harness has."""
        import threading

        self.expire_session(threading.Event)
        self.lose_connection(threading.Event)
        assert_type(self.hosts, str)
        assert_type(self.client.get("/a"), Tuple[bytes, ZnodeStat])
        self.client.nonsense()  # wrong
        self.nonsense()  # wrong


class Mine(KazooClient):
    """A client of an app."""

    def get(self, path: str) -> bytes:  # wrong
        """Changes what it takes and what it gives."""
        return b""

    def lock(self) -> Lock:
        """More than kazoo's."""
        return self.Lock("/lock")
