"""Four letter words and the version are true of the deployment; what belongs to servers only is refused with advice."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict

import pytest
from kazoo.exceptions import (
    BadArgumentsError,
    ConfigurationError,
    ConnectionLoss,
    NoAuthError,
    UnimplementedError,
)
from kazoo.handlers.threading import KazooTimeoutError

from fk_kazoo.exceptions import DeploymentConfigurationError
from tests.client.programs.support import CableClient, eventually, expire

Connect = Callable[..., Any]
WORDS = (b"ruok", b"stat", b"mntr", b"envi", b"srvr", b"cons", b"wchs", b"dump", b"isro")


def _mntr(client: CableClient) -> Dict[str, str]:
    return dict(line.split("\t") for line in client.command(b"mntr").splitlines())


def _figure(client: CableClient, name: str) -> int:
    return int(_mntr(client)["zk_" + name])


def test_every_word_answers(url: str, connect: Connect) -> None:
    client = connect(url)
    for word in WORDS:
        answer = client.command(word)
        assert isinstance(answer, str) and (answer or word == b"cons"), word
    assert client.command() == client.command(b"ruok") == "imok"
    assert client.command(b"isro") == "rw"
    assert client.command(b"nope") == ""


def test_the_version_is_a_zookeepers(url: str, connect: Connect) -> None:
    client = connect(url)
    version = client.server_version()
    assert version >= (3, 8) and len(version) == 3
    text = ".".join(map(str, version))
    for word in (b"srvr", b"stat", b"mntr", b"envi"):
        assert text in client.command(word), word


@pytest.mark.filterwarnings("ignore:No chroot path exists")
def test_envi_names_the_deployment(url: str, connect: Connect) -> None:
    client = connect(url + "/app?namespace=orders")
    answer = client.command(b"envi")
    assert "fk_kazoo.namespace=orders" in answer and url in answer


def test_the_counts_follow_the_tree(url: str, connect: Connect) -> None:
    client = connect(url)
    nodes, size = _figure(client, "znode_count"), _figure(client, "approximate_data_size")
    client.create("/a/b/c", b"x" * 1000, makepath=True)
    assert _figure(client, "znode_count") == nodes + 3
    assert "Node count: %d" % (nodes + 3) in client.command(b"srvr")
    assert _figure(client, "approximate_data_size") >= size + 1000
    client.delete("/a", recursive=True)
    assert _figure(client, "znode_count") == nodes
    assert _figure(client, "approximate_data_size") == size


def test_the_zxid_is_the_last_ones(url: str, connect: Connect) -> None:
    client = connect(url)
    client.create("/n")
    stat = client.set("/n", b"x")
    assert "Zxid: 0x%x" % stat.mzxid in client.command(b"srvr")


def test_sessions_are_counted_and_named(url: str, connect: Connect) -> None:
    client = connect(url, timeout=7.0)
    assert _figure(client, "num_alive_connections") == 1
    other = connect(url)
    assert _figure(client, "num_alive_connections") == 2
    for word in (b"cons", b"stat"):
        for session in (client.client_id[0], other.client_id[0]):
            assert "sid=0x%x" % session in client.command(word), word
    assert "to=7000" in client.command(b"cons")
    session = other.client_id[0]
    other.stop()
    eventually(lambda: _figure(client, "num_alive_connections") == 1, what="the other is gone")
    assert "%x" % session not in client.command(b"cons")


def test_ephemerals_are_counted_and_named(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    client.create("/e", ephemeral=True)
    other.create("/p")
    other.create("/p/e", ephemeral=True)
    assert _figure(client, "ephemerals_count") == 2
    dump = client.command(b"dump")
    assert re.search(r"0x%x:\n\t/e\n" % client.client_id[0], dump)
    assert re.search(r"0x%x:\n\t/p/e\n" % other.client_id[0], dump)
    expire(other)
    eventually(lambda: _figure(client, "ephemerals_count") == 1, what="the other's is gone")
    assert "/p/e" not in client.command(b"dump")


def test_watches_are_counted(url: str, connect: Connect) -> None:
    client, other = connect(url), connect(url)
    assert _figure(client, "watch_count") == 0
    client.create("/n")
    client.get("/n", watch=lambda event: None)
    other.get("/n", watch=lambda event: None)
    other.get_children("/", watch=lambda event: None)
    assert _figure(client, "watch_count") == 3
    assert client.command(b"wchs") == "2 connections watching 2 paths\nTotal watches:3\n"
    client.set("/n", b"x")
    eventually(lambda: _figure(client, "watch_count") == 1, what="two have fired")
    other.stop()
    eventually(lambda: _figure(client, "watch_count") == 0, what="its owner is gone")


def test_words_are_about_the_namespace(url: str, connect: Connect) -> None:
    a, b = connect(url + "?namespace=a"), connect(url + "?namespace=b")
    a.create("/e", ephemeral=True)
    assert (_figure(a, "ephemerals_count"), _figure(b, "ephemerals_count")) == (1, 0)


@pytest.mark.parametrize("when", ["never started", "suspended", "stopped"])
def test_without_a_connection_a_word_is_a_connection_loss(url: str, make: Connect, when: str) -> None:
    client = make(url)
    if when != "never started":
        client.start()
    if when == "suspended":
        client.cut_off()
    if when == "stopped":
        client.stop()
    for word in WORDS:
        with pytest.raises(ConnectionLoss):
            client.command(word)
    with pytest.raises(ConnectionLoss):
        client.server_version()


# --- what belongs to servers ----------------------------------------------------------------------

TLS = {"use_ssl": True, "keyfile": "key.pem", "certfile": "cert.pem", "ca": "ca.pem", "keyfile_password": "secret"}
SASL = {"mechanism": "DIGEST-MD5", "username": "u", "password": "p"}


@pytest.mark.parametrize("option", list(TLS))
def test_tls_options_are_refused(memory_url: str, option: str) -> None:
    options: Dict[str, Any] = {option: TLS[option]}
    with pytest.raises(ConfigurationError, match=option + r".*TLS") as caught:
        CableClient(memory_url, **options)
    assert isinstance(caught.value, DeploymentConfigurationError)
    assert "leave it out" in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"sasl_options": SASL}, {"auth_data": [("sasl", "u:p")]}], ids=["sasl_options", "auth_data"]
)
@pytest.mark.filterwarnings("ignore:Passing SASL configuration")
def test_sasl_is_refused(memory_url: str, options: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"SASL.*digest"):
        CableClient(memory_url, **options)


def test_server_options_are_refused_by_position_too(memory_url: str) -> None:
    """KazooClient(hosts, timeout, client_id, handler, default_acl, auth_data, sasl_options)."""
    with pytest.raises(ConfigurationError, match="SASL"):
        CableClient(memory_url, 10.0, None, None, None, None, dict(SASL))
    with pytest.raises(ConfigurationError, match=r"certfile.*TLS"):
        CableClient(memory_url, 10.0, None, None, None, None, None, None, True, None, None, None, None, None, "c.pem")


def test_options_that_ask_for_nothing_are_fine(memory_url: str, connect: Connect) -> None:
    client = connect(memory_url, use_ssl=False, keyfile=None, sasl_options=None, auth_data=[], verify_certs=False)
    assert client.exists("/")


RECONFIG: Any = [
    ("not a list of servers", {"joining": "x", "leaving": None, "new_members": None}, (), BadArgumentsError),
    ("no super user", {"joining": "server.1=h:1:2", "leaving": None, "new_members": None}, (), NoAuthError),
    (
        "super user",
        {"joining": None, "leaving": "1", "new_members": None},
        (("digest", "super:test"),),
        UnimplementedError,
    ),
]


@pytest.mark.parametrize(("what", "arguments", "auth", "error"), RECONFIG, ids=[entry[0] for entry in RECONFIG])
def test_reconfig_is_kazoos_error_with_advice(
    memory_url: str, make: Connect, what: str, arguments: Any, auth: Any, error: Any
) -> None:
    client = make(memory_url)
    client.start()
    client.auth_data.update(auth)
    with pytest.raises(error, match="leave reconfig out"):
        client.reconfig(**arguments)


@pytest.mark.parametrize("wrong", [{"joining": 1}, {"leaving": 1}, {"new_members": 1}, {"from_config": "x"}])
def test_reconfig_with_the_wrong_types_is_a_type_error_as_with_kazoo(
    memory_url: str, connect: Connect, wrong: Any
) -> None:
    client = connect(memory_url)
    arguments = {"joining": None, "leaving": None, "new_members": None, **wrong}
    with pytest.raises(TypeError):
        client.reconfig(**arguments)


def test_a_word_that_is_not_answered_does_not_hang(
    memory_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(memory_url)
    monkeypatch.setattr("fk_kazoo.client.COMMAND_TIMEOUT_S", 0.2)

    async def silent(*arguments: Any) -> str:
        import asyncio

        await asyncio.sleep(5)
        return ""

    monkeypatch.setattr("fk_kazoo.client.answer_word", silent)
    with pytest.raises((ConnectionLoss, KazooTimeoutError)):
        client.command(b"srvr")
    assert client.exists("/")
