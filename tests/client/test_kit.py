"""The test kit, used as its users use it: each situation that people ask about, as a test of theirs would have it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, List

import pytest
from kazoo.exceptions import BadVersionError, ConnectionLoss, NodeExistsError, RolledBackError
from kazoo.recipe.lock import Lock
from kazoo.security import make_digest_acl

from fk_kazoo.aio import KazooClient as AioClient
from fk_kazoo.client import KazooClient
from fk_kazoo.testing.kit import Kit, Leak
from fk_kazoo.testing.recorder import Recorder
from tests.checkout import ROOT
from tests.client.programs.support import eventually

Make = Callable[..., Any]


def test_a_tree_of_its_own(zk: Any, zk_url: str) -> None:
    assert zk.get_children("/") in ([], ["zookeeper"]) and zk_url.startswith("memory://")


def test_a_lost_connection_keeps_session_and_ephemerals(zk: Any, zk_faults: Any, zk_recorder: Make) -> None:
    seen: Recorder = zk_recorder(zk)
    zk.create("/e", ephemeral=True)
    session = zk.client_id
    zk_faults.disconnect(zk)
    seen.wait_for_states("SUSPENDED", "CONNECTED")
    assert zk.client_id == session and zk.exists("/e")


def test_an_expired_session_loses_its_lock(zk: Any, zk_client: Make, zk_faults: Any, zk_recorder: Make) -> None:
    other = zk_client()
    lock, seen = zk.Lock("/lock", "me"), zk_recorder(zk)
    assert lock.acquire(timeout=5)
    zk_faults.expire(zk)
    seen.wait_for_states("LOST", "CONNECTED")
    assert other.Lock("/lock", "other").acquire(timeout=5)


def test_who_is_suspended_does_not_know(zk: Any, zk_client: Make, zk_faults: Any, zk_recorder: Make) -> None:
    other: Any = zk_client()
    lock, seen = zk.Lock("/lock", "me"), zk_recorder(zk)
    assert lock.acquire(timeout=5)
    with zk_faults.suspend(zk):
        assert other.Lock("/lock", "other").acquire(timeout=5)
        assert zk.connected and lock.is_acquired and seen.states == []
    seen.wait_for_states("LOST", "CONNECTED")


def test_an_election_goes_on_when_the_leader_is_gone(zk: Any, zk_client: Make, zk_faults: Any) -> None:
    leaders: "List[str]" = []
    began, end = threading.Semaphore(0), threading.Event()

    def lead(name: str) -> None:
        leaders.append(name)
        began.release()
        end.wait(20)

    other = zk_client()
    for client, name in ((zk, "first"), (other, "second")):
        threading.Thread(target=client.Election("/e", name).run, args=(lead, name), daemon=True).start()
        if name == "first":
            assert began.acquire(timeout=10)
    zk_faults.expire(zk)
    assert began.acquire(timeout=10)
    end.set()
    assert leaders == ["first", "second"]


def test_a_partition_is_suspension_and_calls_wait(zk: Any, zk_faults: Any, zk_recorder: Make) -> None:
    seen = zk_recorder(zk)
    with zk_faults.partition(zk):
        assert not zk.connected
        waiting = zk.create_async("/late")
        assert not waiting.ready()
    seen.wait_for_states("SUSPENDED", "CONNECTED")
    assert waiting.get(timeout=10) == "/late"


@pytest.mark.parametrize("done", [False, True])
def test_connection_loss_may_or_may_not_be_done(zk: Any, zk_client: Make, zk_faults: Any, done: bool) -> None:
    other = zk_client()
    zk_faults.fail_next(zk, done=done)
    with pytest.raises(ConnectionLoss):
        zk.create("/n")
    zk.sync("/n")
    assert (zk.exists("/n") is not None) is done
    zk_faults.fail_next(other, done=done)
    if done:  # what the retry meets is its own
        with pytest.raises(NodeExistsError):
            other.retry(other.create, "/retried")
    else:
        assert other.retry(other.create, "/retried") == "/retried"


def test_a_writer_that_crashes_loses_nothing(zk: Any, zk_faults: Any) -> None:
    results = [zk.create_async("/n-", sequence=True) for _ in range(50)]
    zk_faults.crash_writer()
    results += [zk.create_async("/n-", sequence=True) for _ in range(50)]
    assert [result.get(timeout=20) for result in results] == ["/n-%010d" % n for n in range(100)]


def test_a_plain_watch_ends_with_the_connection(zk: Any, zk_client: Make, zk_faults: Any, zk_recorder: Make) -> None:
    """kazoo tells it so (NONE); DataWatch sets its own again, and is told what changed meanwhile."""
    seen, other, values = zk_recorder(zk), zk_client(), zk.handler.queue_impl()
    zk.create("/a", b"0")
    zk.get("/a", watch=seen.watch)
    zk.DataWatch("/a", lambda data, stat: values.put(data))
    assert values.get(timeout=10) == b"0"
    with zk_faults.partition(zk):
        other.set("/a", b"1")
    seen.wait_for_events(("NONE", "None"))
    assert values.get(timeout=10) == b"1"


def test_a_transaction_conflicts(zk: Any) -> None:
    zk.create("/a")
    transaction = zk.transaction()
    transaction.create("/b")
    transaction.check("/a", version=7)
    rolled_back, failed = transaction.commit()
    assert isinstance(failed, BadVersionError) and isinstance(rolled_back, RolledBackError)
    assert zk.exists("/b") is None


def test_a_session_ends_when_its_time_is_over(zk: Any, zk_client: Make, zk_clock: Any, zk_faults: Any) -> None:
    """And nobody else's does, however long that is."""
    other, session = zk_client(timeout=4.0), zk.client_id
    other.create("/e", ephemeral=True)
    zk.create("/mine", ephemeral=True)
    with zk_faults.partition(other):
        zk_clock.advance(3.0)
        assert zk.exists("/e")
        zk_clock.advance(600.0)
        assert zk.exists("/e") is None
    assert zk.client_id == session and zk.exists("/mine")


def test_a_delay(zk: Any, zk_faults: Any) -> None:
    with zk_faults.delay(zk, 30.0):
        late = zk.create_async("/late")
        with pytest.raises(zk.handler.timeout_exception):
            late.get(timeout=0.5)
    with zk_faults.partition(zk):
        pass
    with pytest.raises(ConnectionLoss):
        late.get(timeout=10)


def test_clients_of_the_app_are_under_it_too(zk_url: str, zk_faults: Any) -> None:
    client = KazooClient(zk_url)
    client.start(10)
    lock: Any = Lock(client, "/lock")
    assert lock.acquire(timeout=5)
    zk_faults.expire(client)
    client.stop()
    client.close()


def test_who_leaves_a_client_running_is_told_where_it_was_made() -> None:
    with pytest.raises(Leak, match=r"test_kit\.py:"):
        with Kit() as kit:
            client = KazooClient(kit.url)
            client.start(10)
    assert not client.connected


@pytest.mark.parametrize("ended", [True, False])
def test_a_client_for_asyncio_that_is_left_running(ended: bool) -> None:
    """Whether its loop has ended or runs on."""
    made: List[Any] = []

    async def start(url: str) -> None:
        made.append(AioClient(url))
        await made[0].start()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with pytest.raises(Leak, match=r"a client made at .*test_kit\.py:\d+"), Kit() as kit:
        if ended:
            asyncio.run(start(kit.url))
        else:
            asyncio.run_coroutine_threadsafe(start(kit.url), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
    assert made[0]._stopped is not ended


def test_on_a_deployment_that_others_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node of the kit's own, which is gone afterwards."""
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "h"))
    with Kit("local://d/team") as kit:
        client = kit.client()
        client.create("/a")
        kit.faults.expire(client)
        with pytest.raises(ValueError, match="can't be driven"):
            kit.advance(1.0)
    client = KazooClient("local://d/team")
    client.start(10)
    assert client.get_children("/") == []
    client.stop()
    client.close()


def test_the_plugin_is_found_and_imports_nothing(tmp_path: Path) -> None:
    """In a run of somebody who asks for no fixture of it."""
    (tmp_path / "test_app.py").write_text(
        "import sys\n\n"
        "def test_nothing():\n"
        "    assert not [name for name in sys.modules if name.startswith(('kazoo', 'fk_backend'))]\n\n"
        "def test_something(zk):\n    assert zk.create('/a') == '/a'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:eventlet", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=120)
    assert "2 passed" in done.stdout, done.stdout


def test_every_situation_of_the_docs_is_a_test_here() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8").partition("## Ten situations")[2]
    named = re.findall(r"`(test_\w+)`", page.partition("\n## ")[0])
    assert len(named) == 10 and all(callable(globals().get(name)) for name in named)


# --- several at once, and what an app does meanwhile ------------------------------------------------


def test_a_partition_within_a_partition_ends_with_the_outer_one(zk: Any, zk_faults: Any) -> None:
    with zk_faults.partition(zk):
        with zk_faults.partition(zk), zk_faults.delay(zk, 0.0):
            assert not zk.connected
        assert not zk.connected and not zk.handler.event_object().wait(0.05) and not zk.connected
    assert zk.connected


def test_a_session_that_is_cut_off_expires(zk: Any, zk_client: Make, zk_faults: Any, zk_recorder: Make) -> None:
    other, seen = zk_client(), zk_recorder(zk)
    zk.create("/e", ephemeral=True)
    with zk_faults.partition(zk):
        zk_faults.expire(zk)
        assert other.exists("/e") is None and seen.states == ["SUSPENDED"]
    assert seen.states == ["SUSPENDED", "LOST", "CONNECTED"]


def test_whoever_is_cut_off_may_be_struck_again(zk: Any, zk_client: Make, zk_faults: Any, zk_recorder: Make) -> None:
    """Also between two of its tries to connect, when it has no deployment open."""
    other, seen = zk_client(), zk_recorder(zk)
    zk.create("/e", ephemeral=True)
    with zk_faults.partition(zk):
        eventually(lambda: zk._connection._opening is None)
        zk_faults.disconnect(zk)
        with zk_faults.suspend(zk):
            assert other.exists("/e") is None
    assert seen.states == ["SUSPENDED", "LOST", "CONNECTED"]


def test_listeners_are_told_before_it_goes_on(zk: Any, zk_faults: Any, zk_recorder: Make) -> None:
    seen = zk_recorder(zk)
    for round_ in range(10):
        with zk_faults.partition(zk):
            assert seen.states[2 * round_ :] == ["SUSPENDED"]
        assert seen.states[2 * round_ :] == ["SUSPENDED", "CONNECTED"]


@pytest.mark.timeout(20)
def test_an_app_may_stop_while_the_network_is_away(zk_client: Make, zk_faults: Any) -> None:
    one, other, third = zk_client(), zk_client(), zk_client()
    with zk_faults.partition(one):
        one.stop()
    third.stop()
    with zk_faults.partition(third), zk_faults.suspend(other):
        other.stop()


def test_the_next_write_is_the_apps_own(zk: Any, zk_faults: Any) -> None:
    zk_faults.fail_next(zk)
    zk_faults.disconnect(zk)
    zk_faults.expire(zk)
    with zk_faults.partition(zk):
        pass
    with pytest.raises(ConnectionLoss):
        zk.create("/w")
    assert zk.create("/w") == "/w"


def test_who_was_not_started_is_told_so(zk_url: str, zk: Any, zk_faults: Any) -> None:
    client = KazooClient(zk_url)
    for fault in (zk_faults.expire, zk_faults.disconnect, zk_faults.fail_next):
        with pytest.raises(ValueError, match="not at all"):
            fault(client)
    with pytest.raises(ValueError, match="not at all"), zk_faults.partition(zk, client):
        pass
    assert zk.connected and zk.exists("/") is not None


def test_kits_do_not_mind_each_other() -> None:
    """Whichever ends first."""
    one, other = Kit(), Kit()
    with pytest.raises(Leak, match=r"test_kit\.py:"):
        with one:
            other.__enter__()
            client = other.client()
            KazooClient(one.url).start(10)
            one.client()
    other.faults.disconnect(client)
    assert other.client().create("/a") == "/a" and client.exists("/a")
    other.__exit__(None)
    assert "__init__" in vars(KazooClient) and KazooClient.__init__.__name__ == "__init__"


def test_what_the_test_failed_with_comes_first() -> None:
    with pytest.raises(ZeroDivisionError), Kit() as kit:
        KazooClient(kit.url).start(10)
        _ = 1 / 0


def test_time_goes_by_for_hours_and_only_forwards(zk: Any, zk_client: Make, zk_clock: Any) -> None:
    clients, session = [zk_client() for _ in range(10)], zk.client_id
    zk.create("/e", ephemeral=True)
    zk_clock.advance(2 * 3600.0)
    assert zk.client_id == session and zk.exists("/e") and all(client.connected for client in clients)
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="time goes by forwards"):
            zk_clock.advance(seconds)


SHARED = """
import pytest
from kazoo.exceptions import ConnectionLoss

def test_a(zk, zk_faults):
    zk_faults.fail_next(zk)
    zk_faults.partition(zk).__enter__()

def test_b(zk):
    assert zk.retry(zk.create, "/b") == "/b" and zk.create("/a") == "/a"

@pytest.mark.zk(uri="local://x")
def test_c(zk_url):
    pass
"""


@pytest.mark.parametrize(
    ("scope", "says"),
    [("module", "2 passed, 1 deselected"), ("function", "the marker is zk"), ("nobody", "zk_scope is one of")],
)
def test_what_is_shared_and_what_is_none(tmp_path: Path, scope: str, says: str) -> None:
    """Faults end with the test, whoever shares the client."""
    (tmp_path / "test_app.py").write_text(SHARED)
    chosen = ["-k", "not test_c"] if scope == "module" else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "zk_scope=" + scope, *chosen]
    done = subprocess.run(
        [*command, str(tmp_path)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert says in done.stdout, done.stdout


def test_nodes_of_the_test_alone_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "h"))
    with Kit("local://d") as kit:
        client = kit.client()
        client.add_auth("digest", "user:password")
        client.create("/s", acl=[make_digest_acl("user", "password", all=True)])
        client.create("/s/b", acl=[make_digest_acl("user", "password", all=True)])


COLD = """
import time, pytest
began = time.process_time()
from fk_kazoo.testing.kit import Kit
with Kit() as kit:
    kit.client().create("/a")
    print(time.process_time() - began)
import sys
assert not [name for name in sys.modules if name.startswith(("unittest", "sqlite3", "boto", "fk_kazoo.verify"))]
"""


def test_the_first_test_begins_soon(tmp_path: Path) -> None:
    """From nothing but pytest, with compiled modules, as an install has them. Processor time, the best of some."""
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", COLD]
    options: Any = {"cwd": ROOT, "env": environ, "stdout": subprocess.PIPE, "text": True, "check": True, "timeout": 60}
    taken = [float(subprocess.run(command, **options).stdout)]  # which compiles them
    while taken[-1] >= 0.5 and len(taken) < 5:
        taken.append(float(subprocess.run(command, **options).stdout))
    assert taken[-1] < 0.5, taken
