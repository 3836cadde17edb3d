"""Nodes that are made once, whatever happens to the connection; and nodes that are made again with every session."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable

import pytest
from kazoo.exceptions import NodeExistsError, NoNodeError

from fk_kazoo.exceptions import PayloadTooLargeError
from tests.client.programs.support import eventually

Make = Callable[..., Any]


@pytest.mark.parametrize("done", [False, True])
def test_there_is_no_second_sequential_node(zk: Any, zk_faults: Any, done: bool) -> None:
    zk.ensure_path("/q")
    zk_faults.fail_next(zk, done=done)
    made = zk.create_once("/q/n-", b"x", sequence=True)
    assert ["/q/" + name for name in zk.get_children("/q")] == [made]
    assert made.startswith("/q/_c_") and "-n-00" in made and zk.get(made)[0] == b"x"
    assert zk.create_once("/n-", sequence=True).startswith("/_c_")


@pytest.mark.parametrize("ephemeral", [False, True])
@pytest.mark.parametrize("done", [False, True])
def test_ones_own_node_does_not_exist_already(zk: Any, zk_faults: Any, done: bool, ephemeral: bool) -> None:
    zk_faults.fail_next(zk, done=done)
    assert zk.create_once("/n", b"mine", ephemeral=ephemeral) == "/n"
    with pytest.raises(NodeExistsError):
        zk.create_once("/n", b"mine", ephemeral=ephemeral)


@pytest.mark.parametrize("ephemeral", [False, True])
def test_somebody_elses_node_does(
    zk: Any, zk_client: Make, zk_faults: Any, ephemeral: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made between a try that was lost and the next."""
    other, create = zk_client(), zk.create

    def late(*args: Any, **kwargs: Any) -> Any:
        try:
            return create(*args, **kwargs)
        finally:
            if not other.exists("/n"):
                other.create("/n", b"theirs", ephemeral=ephemeral)

    monkeypatch.setattr(zk, "create", late)
    zk_faults.fail_next(zk)
    with pytest.raises(NodeExistsError):
        zk.create_once("/n", b"mine", ephemeral=ephemeral)


def test_what_is_too_large_is_not_tried_for_ever(zk: Any) -> None:
    with pytest.raises(PayloadTooLargeError):
        zk.create_once("/n", bytes(2_000_000))
    assert zk.exists("/n") is None
    with pytest.raises(NoNodeError):
        zk.create_once("/none/n-", sequence=True)
    assert zk.create_once("/none/n-", sequence=True, makepath=True)


def test_a_kept_node_is_there_in_every_session(zk: Any, zk_client: Make, zk_faults: Any) -> None:
    other = zk_client()
    with zk.keep("/services/web", b"1") as kept:
        assert kept.there and other.get("/services/web")[0] == b"1"
        kept.set(b"2")
        for _ in range(2):
            zk_faults.expire(zk)
            eventually(lambda: kept.there)
            data, stat = other.get("/services/web")
            assert data == b"2" and stat.ephemeralOwner == zk.client_id[0]
        zk.restart()
        eventually(lambda: kept.there)
        zk_faults.disconnect(zk)
        assert other.get("/services/web")[0] == b"2"
    assert other.exists("/services/web") is None
    zk_faults.expire(zk)
    kept.close()
    zk.sync("/")
    assert other.exists("/services/web") is None


def test_what_somebody_else_has_is_waited_for(zk: Any, zk_client: Make, zk_faults: Any) -> None:
    other = zk_client()
    other.create("/kept", ephemeral=True)
    with pytest.raises(NodeExistsError):
        zk.keep("/kept")
    other.delete("/kept")
    kept = zk.keep("/kept", b"mine")
    zk.add_listener(lambda state: other.create("/kept", b"theirs") if state == "LOST" else None)
    zk_faults.expire(zk)
    zk.state_listeners.clear()
    assert not kept.there and other.get("/kept")[0] == b"theirs"
    eventually(lambda: zk._data_watchers.get("/kept"), what="it is watched")
    other.delete("/kept")
    eventually(lambda: kept.there)
    assert other.get("/kept")[0] == b"mine"


def test_what_somebody_deletes_stays_deleted_until_the_next_session(zk: Any, zk_client: Make, zk_faults: Any) -> None:
    other, kept = zk_client(), zk.keep("/kept")
    other.delete("/kept")
    kept.set(b"x")
    zk.sync("/")
    assert other.exists("/kept") is None
    zk_faults.expire(zk)
    eventually(lambda: other.exists("/kept"))
    assert other.get("/kept")[0] == b"x"


def test_a_node_is_kept_through_a_lost_answer(zk: Any, zk_faults: Any) -> None:
    zk_faults.fail_next(zk, done=True)
    kept = zk.keep("/kept", b"x")
    assert kept.there and zk.get("/kept")[0] == b"x"


def test_a_forked_child_keeps_nothing(zk: Any) -> None:
    kept = zk.keep("/kept")
    pid = os.fork()
    if not pid:
        try:
            assert threading.active_count()  # pytest's own are the parent's
            kept.close()
            os._exit(0 if kept._on_state("CONNECTED") is True else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert kept.there and zk.exists("/kept")
