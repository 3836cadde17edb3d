"""``fk-kazoo backup`` and ``restore`` on ``aws://``: everything that a deployment holds, while clients write to it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import pytest
from kazoo.exceptions import ConnectionLoss

from fk_backend import layout
from fk_backend.ports import SESSIONS, STATE
from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.host import Host, functions_of
from fk_kazoo.__main__ import main
from fk_kazoo.client import KazooClient

from ..conftest import Deployment

LARGE = 300_000
"""Bytes of data that lie in the bucket."""


def everything(client: Any, path: str = "/") -> Dict[str, Tuple[Any, Any, Any]]:
    """Path → (data, Stat, ACL) of every node that is nobody's."""
    data, stat = client.get(path)
    found = {path: (data, stat, client.get_acls(path)[0])}
    for name in client.get_children(path):
        found.update(everything(client, path.rstrip("/") + "/" + name))
    return {path: one for path, one in found.items() if not one[1].ephemeralOwner}


def fill(client: Any) -> None:
    """Nodes of many kinds."""
    for path, data in (("/a", b"0"), ("/z", b"0"), ("/large", b"L" * LARGE), ("/app", None), ("/locks", b"")):
        client.create(path, data)
    for number in range(20):
        client.create("/app/item-", b"%d" % number, sequence=True)
    client.delete("/app/item-0000000003")
    client.create("/locks/mine", b"", ephemeral=True)


def test_every_node_is_as_it_was(
    deployment: Deployment, connect: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = connect()
    fill(client)
    was = everything(client)
    assert main(["backup", deployment.url, str(tmp_path / "quiet")]) == 0, capsys.readouterr().err
    done = threading.Event()
    written = []

    def write() -> None:
        while not done.is_set() or not written:
            both = client.transaction()
            both.set_data("/a", b"%d" % len(written))
            both.set_data("/z", b"%d" % len(written))
            try:
                written.append(both.commit())
                client.set("/large", b"%d" % len(written) * (LARGE // 10))
            except ConnectionLoss:
                pass  # of a machine that is busy: it was written, or it was not

    writing = threading.Thread(target=write)
    writing.start()
    try:
        assert main(["backup", deployment.url, str(tmp_path / "busy")]) == 0, capsys.readouterr().err
    finally:
        done.set()
        writing.join()
    left = {
        (which, key["p"]["S"])
        for which, partition in ((STATE, layout.journal_key("default")[1]), (SESSIONS, "default:journal"))
        for key in deployment.account.client("dynamodb").scan(TableName=names.table("test", which))["Items"]
        if key["p"]["S"] == partition and key["s"]["S"] != "head"
    }
    assert not left
    latest = client.retry(client.set, "/a", b"").mzxid
    account = deployment.account._replace(name="quiet")
    resources.create(account)
    assert main(["restore", str(tmp_path / "quiet"), account.url]) == 0, capsys.readouterr().err
    now = _read(account)
    parent_was, parent_now = was.pop("/locks")[1], now.pop("/locks")[1]
    assert now == was
    assert (parent_now.numChildren, parent_now.cversion) == (0, parent_was.cversion + 1)
    assert parent_now.pzxid > latest, "no client sees a zxid go back"
    account = deployment.account._replace(name="busy")
    resources.create(account)
    assert main(["restore", str(tmp_path / "busy"), account.url]) == 0, capsys.readouterr().err
    busy = _read(account)
    assert busy["/a"][0] == busy["/z"][0]
    assert busy["/large"][1].dataLength == len(busy["/large"][0]) >= LARGE // 10
    assert main(["restore", str(tmp_path / "busy"), account.url]) == 4
    assert "not empty" in capsys.readouterr().err


def _read(account: resources.Account) -> Dict[str, Tuple[Any, Any, Any]]:
    """What a client finds in a restored deployment, which it can also write to."""
    with Host(account, functions_of(account)):
        client = KazooClient(account.url)
        client.start(timeout=20)
        try:
            found = everything(client)
            assert client.create("/app/item-", b"", sequence=True) == "/app/item-0000000020"
            return found
        finally:
            client.stop()
            client.close()
