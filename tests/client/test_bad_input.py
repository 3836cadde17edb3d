"""Bad input gets a clear error of kazoo's or ours, one that says what to do, and changes nothing.

Bad files and full disks are in `tests/service/test_bad_input.py`.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Tuple

import pytest
from kazoo.exceptions import (
    AuthFailedError,
    BadArgumentsError,
    BadVersionError,
    ConfigurationError,
    ConnectionLoss,
    InvalidACLError,
    NoNodeError,
)
from kazoo.protocol.serialization import Create, Delete
from kazoo.protocol.states import KeeperState
from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id, make_acl

from fk_backend.errors import NotADeployment
from fk_backend.providers import local
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import DeploymentConfigurationError, PayloadTooLargeError

Connect = Callable[..., Any]
LIMIT = 0xFFFFF
"""ZooKeeper's jute.maxbuffer, in bytes."""


def tree(client: Any, path: str = "/") -> Dict[str, Tuple[Any, Any, Any]]:
    """Everything there is: path → (data, Stat, ACL)."""
    data, stat = client.get(path)
    found = {path: (data, stat, client.get_acls(path)[0])}
    for child in client.get_children(path):
        found.update(tree(client, path.rstrip("/") + "/" + child))
    return found


@pytest.fixture
def client(url: str, connect: Connect) -> Any:
    """A client of a deployment with something in it."""
    made = connect(url)
    made.create("/a", b"data")
    made.create("/a/b", b"child")
    return made


@pytest.fixture
def unchanged(client: Any) -> Any:
    """What is there before a test is there after it."""
    before = tree(client)
    yield client
    assert tree(client) == before


def raw(client: Any, request: Any) -> Any:
    """The answer to a request as it is, past kazoo's own normalization of paths."""
    result = client.handler.async_result()
    client._call(request, result)
    return result.get(timeout=10)


# --- paths --------------------------------------------------------------------------------------

BAD_PATHS = ["a", "", "/a/", "/a//b", "/a/./c", "/a/../c", "/.", "/..", "/\x00", "/\x01", "/\x1f", "/\x7f", "/\x9f"]
BAD_PATHS += ["/\ue000", "/\ufff0"]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths_are_refused_by_the_function(unchanged: Any, path: str) -> None:
    """Whoever gets around kazoo's normalization. The parent is looked for first, as in ZooKeeper."""
    with pytest.raises((BadArgumentsError, NoNodeError)):
        raw(unchanged, Create(path, b"", OPEN_ACL_UNSAFE, 0))


@pytest.mark.parametrize("path", ["/a/../c", ".", "/a/./b"])
def test_relative_paths_are_refused_by_kazoo(unchanged: Any, path: str) -> None:
    """As with ZooKeeper: before anything is sent."""
    with pytest.raises(ValueError):
        unchanged.create(path)


def test_half_a_character_is_no_path(unchanged: Any) -> None:
    """UTF-8 can't carry it; nothing hangs and the connection stays."""
    with pytest.raises(BadArgumentsError):
        unchanged.create("/\ud800")
    assert unchanged.get("/a")[0] == b"data"


@pytest.mark.parametrize("path", ["/nul\0", "/nul\0/child", "/a/\0", "/a\0b", "/a/b\0"])
def test_reads_of_a_path_with_a_nul(unchanged: Any, path: str) -> None:
    """As a ZooKeeper 3.8 answers each of them: only exists() looks at the path itself."""
    for options in ({}, {"watch": lambda event: None}):
        with pytest.raises(BadArgumentsError):
            unchanged.exists(path, **options)
        for read in (unchanged.get, unchanged.get_children):
            with pytest.raises(NoNodeError):
                read(path, **options)
    with pytest.raises(NoNodeError):
        unchanged.get_acls(path)
    with pytest.raises(BadArgumentsError):
        unchanged.delete(path)


@pytest.mark.parametrize("path", ["/\x01", "/\x1f", "/\x7f", "/\ue000", "/\ufff0"])
def test_reads_of_a_path_that_can_not_be_created(unchanged: Any, path: str) -> None:
    """There is no such node: as ZooKeeper says it."""
    assert unchanged.exists(path) is None
    for read in (unchanged.get, unchanged.get_children, unchanged.get_acls, unchanged.delete):
        with pytest.raises(NoNodeError):
            read(path)


@pytest.mark.parametrize("path", ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"])
def test_what_every_tree_has_can_not_be_deleted(unchanged: Any, path: str) -> None:
    """ZooKeeper's own reserved nodes, and the root."""
    with pytest.raises(BadArgumentsError):
        raw(unchanged, Delete(path, -1))


# --- data and versions --------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["text", 1, ["a"], {"a": 1}, bytearray(b"x")])
def test_data_is_bytes(unchanged: Any, data: Any) -> None:
    """TypeError, as kazoo says it."""
    with pytest.raises(TypeError):
        unchanged.create("/new", data)
    with pytest.raises(TypeError):
        unchanged.set("/a", data)


def test_the_largest_request_goes_through_and_the_next_byte_does_not(client: Any) -> None:
    """A request of 1,048,575 bytes on ZooKeeper's wire is over the limit, one byte less is not."""
    overhead = len(Create("/big", b"", OPEN_ACL_UNSAFE, 0).serialize())
    with pytest.raises(PayloadTooLargeError, match="1 MB"):
        client.create("/big", bytes(LIMIT - overhead))
    assert client.exists("/big") is None
    client.create("/big", bytes(LIMIT - overhead - 1))
    assert client.get("/big")[1].dataLength == LIMIT - overhead - 1


def test_too_large_leaves_session_and_data_alone(unchanged: Any) -> None:
    """It is a ConnectionLoss to the app that expects one, and no connection is lost."""
    session = unchanged.client_id
    for call in (lambda: unchanged.set("/a", bytes(2 << 20)), lambda: unchanged.create("/x", bytes(2 << 20))):
        with pytest.raises(ConnectionLoss):
            call()
    assert unchanged.connected and unchanged.client_id == session


@pytest.mark.parametrize("version", [1 << 31, 1 << 40, -(1 << 31) - 1, 1 << 70])
def test_versions_are_int32(unchanged: Any, version: int) -> None:
    """What can't be put on ZooKeeper's wire can't be asked."""
    for call in (unchanged.set, lambda path, _, v: unchanged.delete(path, v)):
        with pytest.raises(BadArgumentsError):
            call("/a/b", b"", version)
    with pytest.raises(BadArgumentsError):
        unchanged.set_acls("/a", OPEN_ACL_UNSAFE, version)


@pytest.mark.parametrize("version", [1, 7, -2, (1 << 31) - 1])
def test_versions_that_are_not_the_nodes(unchanged: Any, version: int) -> None:
    """A version conflict changes nothing."""
    with pytest.raises(BadVersionError):
        unchanged.set("/a", b"", version)
    with pytest.raises(BadVersionError):
        unchanged.delete("/a/b", version)


# --- ACLs and credentials -----------------------------------------------------------------------

BAD_ACLS: List[Tuple[str, str]] = [("world", "me"), ("digest", "no-colon"), ("ip", "300.1.1.1"), ("ip", "10.0.0.0/33")]
BAD_ACLS += [("sasl", "somebody"), ("x509", "CN=a"), ("", ""), ("nonsense", "a"), ("auth", "")]


@pytest.mark.parametrize("scheme, name", BAD_ACLS)
def test_bad_acls(unchanged: Any, scheme: str, name: str) -> None:
    """InvalidACLError, whether the node is new or there."""
    acl = [ACL(31, Id(scheme, name))]
    with pytest.raises(InvalidACLError):
        unchanged.create("/new", acl=acl)
    with pytest.raises(InvalidACLError):
        unchanged.set_acls("/a", acl)


def test_no_acl_at_all(unchanged: Any) -> None:
    """An empty list is no ACL; what is no list is a TypeError of kazoo's."""
    with pytest.raises(InvalidACLError):
        unchanged.set_acls("/a", [])
    with pytest.raises(TypeError):
        unchanged.set_acls("/a", make_acl("world", "anyone", all=True))


def test_an_unknown_scheme_fails_the_authentication(url: str, connect: Connect) -> None:
    """As with ZooKeeper it is final: AUTH_FAILED."""
    client = connect(url)
    with pytest.raises(AuthFailedError):
        client.add_auth("kerberos", "me")
    with pytest.raises(AuthFailedError):
        client.get("/")
    assert client.client_state == KeeperState.AUTH_FAILED


@pytest.mark.parametrize("scheme, credential", [(1, "a:b"), ("digest", ("a", "b")), (None, None)])
def test_credentials_are_text(unchanged: Any, scheme: Any, credential: Any) -> None:
    """TypeError, as kazoo says it."""
    with pytest.raises(TypeError):
        unchanged.add_auth(scheme, credential)


# --- URLs and options ---------------------------------------------------------------------------

BAD_URLS = ["", "nosuch://a", "local://", "local:///x", "local://a?colour=red", "local://a:99", "local://u:p@a"]
BAD_URLS += [
    "memory://a/../b",
    "memory://a?namespace=",
    "local://a?namespace=a&namespace=b",
    "aws://a?region=EU!",
    "://a",
]


@pytest.mark.parametrize("hosts", BAD_URLS)
def test_bad_urls(hosts: str) -> None:
    """When the client is made, not when it connects; never with what looks like a password in it."""
    with pytest.raises((ConfigurationError, ValueError)) as caught:
        KazooClient(hosts)
    assert len(str(caught.value)) > 20 and "u:p" not in str(caught.value)


def test_a_deployment_on_aws_without_credentials(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    client = KazooClient("aws://a?region=eu-central-1")
    with pytest.raises(DeploymentConfigurationError, match="credentials"):
        client.start(timeout=30)  # aiobotocore takes its time to import


def test_hosts_without_a_deployment() -> None:
    """ZooKeeper hosts say nothing by themselves; the message names the variable to set."""
    with pytest.raises(ConfigurationError, match="FK_KAZOO_URL"):
        KazooClient("zk1:2181,zk2:2181/app")


def test_what_is_found_wrong_only_when_connecting_is_told_by_start(local_url: str, monkeypatch: Any) -> None:
    """Instead of a time-out that says nothing."""

    async def refuse(name: str, options: Any) -> Any:
        raise NotADeployment("page 7 is damaged; restore it from a backup")

    monkeypatch.setattr(local, "connect", refuse)
    client = KazooClient(local_url)
    with pytest.raises(DeploymentConfigurationError, match="restore it"):
        client.start(timeout=1)


def test_a_node_that_is_not_there(unchanged: Any) -> None:
    """NoNodeError for everything that needs it."""
    for call in (unchanged.get, unchanged.get_children, unchanged.delete, unchanged.get_acls):
        with pytest.raises(NoNodeError):
            call("/nope")
    with pytest.raises(NoNodeError):
        unchanged.set("/nope", b"")
