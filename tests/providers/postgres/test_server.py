"""What is refused at connect, with what to do about it; what a role may do; that no password is told."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Type
from urllib.parse import quote

import asyncpg
import pytest

from compat_tests.on_postgres import CLIENT, DATABASE, PASSWORD, PostgresServer, free_port, lacks, user
from fk_backend.errors import BackendError, DeploymentError, NoPermission, NotADeployment, Unavailable, UnknownFormat
from fk_backend.providers import postgres, provider
from fk_backend.providers.postgres import server as examined
from fk_backend.providers.postgres.connections import Connections
from fk_backend.providers.postgres.place import Place
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import DeploymentConfigurationError
from fk_kazoo.url import parse


async def connected(text: str) -> None:
    url = parse(text)
    gateway = await provider(url.scheme).connect(url.deployment, url.settings())
    await gateway.close()


def refusal(text: str) -> BackendError:
    """What a connection is refused with."""
    with pytest.raises(BackendError) as refused:
        asyncio.run(connected(text))
    return refused.value


def init(text: str, *roles: str) -> bool:
    url = parse(text)
    return asyncio.run(postgres.init(url.deployment, url.settings(), roles))


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Callable[[str], str]]:
    """Makes an empty database; the owner's URL of it."""
    made: List[str] = []

    def make(name: str) -> str:
        server.ask("CREATE DATABASE %s" % name)
        made.append(name)
        return server.url_of("postgres", database=name)

    yield make
    for name in made:
        server.ask("DROP DATABASE %s WITH (FORCE)" % name)


def test_a_database_becomes_a_deployment_once_and_later_versions_are_refused(
    server: PostgresServer, database: Callable[[str], str]
) -> None:
    url = database("fresh")
    missing = refusal(url)
    assert isinstance(missing, NotADeployment) and "fk-kazoo init" in str(missing)
    assert init(url) and not init(url)
    asyncio.run(connected(url))
    server.ask("UPDATE fk_kazoo.format SET steps = steps + 1", database="fresh")
    assert isinstance(refusal(url), UnknownFormat)
    with pytest.raises(UnknownFormat):
        init(url)
    server.ask("UPDATE fk_kazoo.format SET steps = steps - 1, version = 1000", database="fresh")
    assert "upgrade fk_kazoo" in str(refusal(url))
    gone = refusal(server.url_of("postgres", database="nowhere"))
    assert isinstance(gone, NotADeployment) and "create the database" in str(gone)


def test_a_clients_role_writes_state_by_the_functions_only(server: PostgresServer) -> None:
    server.ask("CREATE ROLE stranger LOGIN")
    assert isinstance(refusal(server.url_of("stranger")), NoPermission)
    forbidden = [
        "UPDATE fk_kazoo.state SET rev = 0",
        "DELETE FROM fk_kazoo.sessions",
        "UPDATE fk_kazoo.writer SET epoch = 0",
        "INSERT INTO fk_kazoo.format VALUES (1, 1)",
        "CREATE TABLE fk_kazoo.mine ()",
    ]

    async def work() -> None:
        connection = await asyncpg.connect(server.url)
        try:
            for sql in forbidden:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(sql)
            await connection.execute("DELETE FROM fk_kazoo.interest WHERE false")
        finally:
            await connection.close()

    asyncio.run(work())


@pytest.fixture
def locked(server: PostgresServer) -> Iterator[str]:
    """The URL, without a password, of a role that has to have one."""
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()
    server.ask("CREATE ROLE locked LOGIN PASSWORD '%s'" % PASSWORD)
    rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + before)
    server.ask("SELECT pg_reload_conf()")
    init(server.admin_url, "locked")
    yield server.url_of("locked")
    rules.write_text(before)
    server.ask("SELECT pg_reload_conf()")


def test_a_password_opens_it_and_is_told_to_nobody(
    locked: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the URL, its query, the environment or a file; and wrong in each of them."""
    caplog.set_level(logging.DEBUG)
    right, wrong = quote(PASSWORD, safe=""), "hunter2-is-wrong"
    in_login = locked.replace("locked@", "locked:%s@")
    for good in (in_login % right, locked + "?password=" + right):
        zk = KazooClient(good)
        zk.start()
        told = [repr(zk.deployment), str(zk.deployment), repr(zk), zk.command(b"envi"), zk.command(b"stat")]
        zk.stop()
        assert not [text for text in told if "secret" in text]
    for bad in (in_login % wrong, locked + "?password=" + wrong, locked):
        zk = KazooClient(bad)
        with pytest.raises(DeploymentConfigurationError) as refused:
            zk.start(timeout=5)
        zk.close()
        assert "PGPASSWORD" in str(refused.value) and "wrong" not in str(refused.value)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    asyncio.run(connected(locked))
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "pass").write_text("*:*:*:locked:%s\n" % PASSWORD)
    (tmp_path / "pass").chmod(0o600)
    asyncio.run(connected(locked + "?passfile=%s" % (tmp_path / "pass")))
    assert "secret" not in caplog.text and "hunter2" not in caplog.text


def test_other_ways_to_say_where_it_is(server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Several hosts, of which one answers; the environment; a service."""
    place = server.url.partition("@")[2]
    asyncio.run(connected("postgresql://%s@127.0.0.1:1,%s" % (CLIENT, place)))
    service = "[fleet]\nhost=127.0.0.1\nport=%d\nuser=%s\ndbname=%s\n" % (server.port, CLIENT, DATABASE)
    (tmp_path / "services").write_text(service)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    asyncio.run(connected("postgresql://?service=fleet"))
    for name, value in (("PGHOST", "127.0.0.1"), ("PGPORT", str(server.port)), ("PGUSER", CLIENT)):
        monkeypatch.setenv(name, value)
    asyncio.run(connected("postgresql:///" + DATABASE))


def test_what_could_be_lost_is_told_once_or_refused(server: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    examined._warned.clear()
    for _ in range(2):
        asyncio.run(connected(server.url))
    assert len([record for record in caplog.records if "power cut" in record.getMessage()]) == 1
    assert "fsync=off" in str(refusal(server.url + "?durability=disk"))


def test_whatever_is_stored_is_there_after_a_crash(server: PostgresServer) -> None:
    """A table that is not logged is empty after a promotion: whoever registered there would miss its event."""
    found = server.ask(
        "SELECT relname::text, relpersistence::text FROM pg_class WHERE relnamespace = 'fk_kazoo'::regnamespace "
        "AND relkind IN ('r', 'i', 'S')"
    )
    unlogged = {name for name, kept in found if kept != "p"}
    assert {"state", "sessions", "interest", "writer", "member", "format"} < {name for name, _ in found} - unlogged
    assert {name.partition("_")[0] for name in unlogged} == {"parcel"}  # what connections are told, which end with it


def test_a_connection_waits_for_the_disk_whatever_its_roles_setting_is(server: PostgresServer) -> None:
    async def setting() -> str:
        connection = await Connections(Place(server.url.partition("://")[2], {})).open()
        try:
            return str(await connection.fetchval("SHOW synchronous_commit"))
        finally:
            await connection.close()

    try:
        for role, ours in (("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")):
            server.ask("ALTER ROLE %s SET synchronous_commit = '%s'" % (CLIENT, role))
            assert asyncio.run(setting()) == ours
    finally:
        server.ask("ALTER ROLE %s RESET synchronous_commit" % CLIENT)


class Answering:
    """A connection to a server that says something else than a PostgreSQL would."""

    def __init__(self, said: Dict[str, Any]) -> None:
        self._said = {"SELECT version()": "PostgreSQL 16", "SHOW server_version_num": "160000", **said}

    async def fetchval(self, sql: str) -> Any:
        """As the driver's."""
        return self._said[sql]


@pytest.mark.parametrize(
    "said, refused, why",
    [
        ({"SELECT version()": "CockroachDB CCL v23.1"}, DeploymentError, "CockroachDB"),
        ({"SHOW server_version_num": "110022"}, DeploymentError, "too old"),
        ({"SELECT pg_is_in_recovery()": True}, Unavailable, "is a replica"),
    ],
)
def test_other_servers_are_refused(said: Dict[str, Any], refused: Type[BackendError], why: str) -> None:
    with pytest.raises(refused, match=why):
        asyncio.run(examined.examine(Answering(said), Place("app@one/db", {})))


def test_a_server_without_listen_is_refused(server: PostgresServer) -> None:
    """As Aurora DSQL, whose version is PostgreSQL's."""

    class Without:
        """A connection that has all but that."""

        def __init__(self, connection: Any) -> None:
            self.fetchval = connection.fetchval

        async def execute(self, sql: str) -> None:
            """As the driver's."""
            raise asyncpg.FeatureNotSupportedError("unsupported statement: Listen")

    async def work() -> None:
        place = Place(server.url.partition("://")[2], {})
        one, other = [await Connections(place).open() for _ in range(2)]
        try:
            with pytest.raises(DeploymentError, match="no LISTEN"):
                await examined.refuse_pooler(Without(one), other, place)
        finally:
            await one.close()
            await other.close()

    asyncio.run(work())


BOUNCER = """[databases]
{database} = host=127.0.0.1 port={port} dbname={database} pool_mode={mode}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {at}
auth_type = any
auth_file = {users}
unix_socket_dir =
"""


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="no pgbouncer (apt-get install pgbouncer)")
def test_a_pooler_is_refused_unless_it_keeps_sessions(server: PostgresServer) -> None:
    place = server.directory / "bouncer"
    place.mkdir()
    place.chmod(0o755)
    users = place / "users"
    users.write_text('"%s" ""\n' % CLIENT)
    for mode in ("transaction", "session"):
        at = free_port()
        words = {"database": DATABASE, "port": server.port, "mode": mode, "at": at, "users": users}
        (place / mode).write_text(BOUNCER.format(**words).replace("auth_type = any", "auth_type = trust"))
        options: Dict[str, Any] = {} if user() is None else {"user": user()}
        command = [str(shutil.which("pgbouncer")), "--quiet", str(place / mode)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, **options) as bouncer:
            try:
                url, until = "postgresql://%s@127.0.0.1:%d/%s" % (CLIENT, at, DATABASE), time.monotonic() + 20
                while True:
                    try:
                        asyncio.run(connected(url))
                        assert mode == "session"
                        break
                    except DeploymentError as error:
                        assert mode == "transaction" and "pooler" in str(error)
                        break
                    except BackendError:
                        assert time.monotonic() < until  # it is not there yet
                        time.sleep(0.1)
            finally:
                bouncer.terminate()


@pytest.mark.slow
@pytest.mark.skipif(bool(lacks("pg_dump", "pg_restore")), reason=lacks("pg_dump", "pg_restore") or "-")
def test_dumped_and_restored_it_is_the_same(server: PostgresServer, database: Callable[[str], str]) -> None:
    """By pg_dump, while it is in use; and by our own backup."""
    zk = KazooClient(server.url + "?namespace=dumped")
    zk.start()
    zk.create("/a/b", b"data", makepath=True)
    url = database("restored")
    login = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]
    dump = server.directory / "dump"
    server.run("pg_dump", *login, "-Fc", "-f", str(dump), DATABASE)
    server.run("pg_restore", *login, "-d", "restored", str(dump))
    again = KazooClient(url + "?namespace=dumped")
    again.start()
    assert again.get("/a/b") == zk.get("/a/b")
    again.set("/a/b", b"goes on")
    assert zk.get("/a/b")[0] == b"data"
    for client in (again, zk):
        client.stop()
    command = [sys.executable, "-m", "fk_kazoo"]
    path = os.pathsep.join(["backend", "."])
    for words in (["backup", server.url, str(dump) + ".fk"], ["restore", str(dump) + ".fk", database("third")]):
        done = subprocess.run(
            [*command, *words], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    third = KazooClient(server.url_of("postgres", database="third") + "?namespace=dumped")
    third.start()
    assert third.get("/a/b")[0] == b"data"
    third.stop()
