"""Two roles, each with a namespace of its own, cannot see or change each other's; nor can anybody else."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable, Iterator, List

import asyncpg
import pytest

from compat_tests.on_postgres import PostgresServer
from fk_backend import layout
from fk_backend.errors import DeploymentError, NoPermission, WrongUsage
from fk_backend.ports import INTEREST, SESSIONS, STATE, Item, Key, Put
from fk_backend.providers import postgres
from fk_backend.providers.postgres import schema
from fk_backend.providers.postgres.gateway import PostgresGateway
from fk_backend.providers.postgres.statements import COMMIT_AND_LOOK, SQL, arguments
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import DeploymentConfigurationError, KazooException
from fk_kazoo.url import parse

DATABASE = "owned"
LARGE = b"x" * 20_000
"""More than a NOTIFY takes."""


def init(url: str, *roles: str, namespace: str = "") -> bool:
    found = parse(url)
    return asyncio.run(postgres.init(found.deployment, found.settings(), roles, namespace))


@pytest.fixture(scope="module")
def owned(server: PostgresServer) -> Iterator[Callable[[str], str]]:
    """A deployment with roles of their own, and one that has none; the URL for a role."""
    server.ask("CREATE DATABASE %s" % DATABASE)
    for role in ("orders_app", "bills_app", "anybody"):
        server.ask("CREATE ROLE %s LOGIN" % role)
    admin = server.url_of("postgres", database=DATABASE)
    init(admin, "anybody")
    init(admin, "orders_app", namespace="orders")
    init(admin, "bills_app", namespace="bills")
    yield lambda role: server.url_of(role, database=DATABASE)
    server.ask("DROP DATABASE %s WITH (FORCE)" % DATABASE)


@pytest.fixture
def client(owned: Callable[[str], str]) -> Iterator[Callable[..., KazooClient]]:
    """A client of a role in a namespace."""
    made: List[KazooClient] = []

    def start(role: str, namespace: str, options: str = "") -> KazooClient:
        zk = KazooClient("%s?namespace=%s%s" % (owned(role), namespace, options))
        made.append(zk)
        zk.start(timeout=30)
        return zk

    yield start
    for zk in made:
        zk.stop()
        zk.close()


def asked(url: str, work: Callable[[Any], Any]) -> Any:
    """What a connection of that role's own does."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.mark.slow
def test_each_has_all_of_zookeeper_in_its_own(client: Callable[..., KazooClient]) -> None:
    """By its own writer, too: queued writes, large ones, watches, locks, an ephemeral that ends with its session."""
    for role, namespace in (("orders_app", "orders"), ("bills_app", "bills"), ("anybody", "others")):
        one, other = client(role, namespace), client(role, namespace, "&via=queue")
        came = threading.Event()
        other.create("/here", ephemeral=True)
        one.exists("/here", watch=lambda event, came=came: came.set())
        one.create("/large", LARGE)
        assert [each.get(timeout=30).version for each in [other.set_async("/large", LARGE) for _ in range(5)]][-1] == 5
        with one.Lock("/lock"):
            assert other.Lock("/lock").contenders()
        other.stop()
        assert came.wait(30) and one.get_children("/") == ["large", "lock", "zookeeper"]


def test_neither_sees_anything_of_the_other(owned: Callable[[str], str], client: Callable[..., KazooClient]) -> None:
    for role, namespace in (("orders_app", "orders"), ("bills_app", "bills"), ("anybody", "others")):
        zk = client(role, namespace)
        zk.ensure_path("/secret-of-%s" % namespace)
        zk.create("/held-", ephemeral=True, sequence=True)
        zk.get("/secret-of-%s" % namespace, watch=print)

    async def look(connection: Any) -> List[str]:
        found = []
        for table in (STATE, SESSIONS, INTEREST):
            rows = await connection.fetch("SELECT DISTINCT part FROM fk_kazoo." + table)
            found += sorted({row[0].decode().partition(":")[0] for row in rows})
        channels = await connection.fetch("SELECT ns, queue, news FROM fk_kazoo.writer")
        return [*found, *(row[0] for row in channels)]

    assert asked(owned("orders_app"), look) == ["orders"] * 4
    assert asked(owned("bills_app"), look) == ["bills"] * 4
    assert asked(owned("anybody"), look) == ["others"] * 3 + [""]
    looks = [Put(Key(STATE, "orders:", "mark"), Item(1, b""))]
    parts = [b"orders:/secret-of-orders", b"bills:/secret-of-bills"]
    found = asked(owned("orders_app"), lambda c: c.fetchrow(COMMIT_AND_LOOK, None, *arguments(looks), parts, "0 "))
    assert found["broken"] == 0 and found["has_looked"] and found["found_parts"] == parts[:1]
    both = "SELECT queue FROM fk_kazoo.writer UNION SELECT news FROM fk_kazoo.writer"
    names = asked(owned("postgres"), lambda c: c.fetch(both))
    assert len(names) == 6 and not {"fk_kazoo_queue", "fk_kazoo_news"} & {row[0] for row in names}
    for role in ("orders_app", "anybody"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asked(owned(role), lambda c: c.fetch("SELECT * FROM fk_kazoo.member"))
        assert not asked(owned(role), lambda c: c.fetch("SELECT FROM fk_kazoo.parcel WHERE ns = 'bills'"))


def test_neither_changes_anything_of_the_other(owned: Callable[[str], str], client: Callable[..., KazooClient]) -> None:
    """By a statement of its own, or by the functions, in the deployment's own way or in any other."""
    bills = client("bills_app", "bills")
    bills.ensure_path("/node")
    bills.get_children("/node", watch=print)
    registered = "SELECT * FROM fk_kazoo.interest WHERE part = 'bills:/node'"  # beats go on by themselves
    before = asked(owned("postgres"), lambda c: c.fetch(registered))
    assert len(before) == 1
    keys = (layout.head_key("bills"), layout.session_key("bills", 7), layout.beat_key("bills", 7))
    writes = {key.table: Put(key, Item(1 << 40, b"")) for key in keys}
    assert [*writes] == [STATE, SESSIONS, INTEREST]
    for role in ("orders_app", "anybody"):
        for table, put in writes.items():
            at = [put.key.partition.encode(), put.key.sort.encode()]
            mixed = [put, Put(put.key._replace(partition="%s:x" % role), put.item)]
            for statement in (
                lambda c, p=[put], t=table: c.fetch(SQL[t].commit, None, *arguments(p)),
                lambda c, p=mixed, t=table: c.fetch(SQL[t].commit, None, *arguments(p)),
                lambda c, a=at, t=table: c.fetch(SQL[t].add, *a, 1),
                lambda c, p=[put]: c.fetch(COMMIT_AND_LOOK, None, *arguments(p), [], ""),
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    asked(owned(role), statement)
        for sql in (
            "DELETE FROM fk_kazoo.interest WHERE part >= 'bills:' AND part < 'bills;'",
            "UPDATE fk_kazoo.interest SET rev = 7 WHERE part >= 'bills:' AND part < 'bills;'",
        ):
            assert asked(owned(role), lambda c, s=sql: c.execute(s)).endswith(" 0")
        taken = asked(owned(role), lambda c: c.fetchval("SELECT fk_kazoo.take_over(0)"))
        assert taken not in [
            row[0] for row in asked(owned("bills_app"), lambda c: c.fetch("SELECT epoch FROM fk_kazoo.writer"))
        ]
    assert before == asked(owned("postgres"), lambda c: c.fetch(registered))
    assert bills.get("/node")[1].version == 0


def test_who_comes_to_another_ones_is_told_whose_it_is(client: Callable[..., KazooClient]) -> None:
    for role, namespace, said in (
        ("orders_app", "bills", r"may use \?namespace=orders"),
        ("anybody", "bills", "only roles of its own"),
        ("postgres", "bills", "only roles of its own"),
    ):
        with pytest.raises(DeploymentConfigurationError, match=said):
            client(role, namespace)


def test_an_owners_process_is_no_writer_of_what_is_not_everybodys(
    owned: Callable[[str], str], client: Callable[..., KazooClient]
) -> None:
    """It would be asked, by who may ask it, to do what only it may."""
    client("bills_app", "bills").ensure_path("/a")

    async def play() -> None:
        gateway = await PostgresGateway.open(owned("postgres").partition("://")[2], {})
        try:
            assert gateway.link.realm.has("others") and not gateway.link.realm.has("bills")
        finally:
            await gateway.close()

    asyncio.run(play())


def test_a_namespace_becomes_one_roles_own_while_it_is_used(
    server: PostgresServer, owned: Callable[[str], str], client: Callable[..., KazooClient]
) -> None:
    """Whoever used it before can't any more, and its writer is one of its own role from then on."""
    before = client("anybody", "late")
    before.create("/kept", b"1")
    server.ask("CREATE ROLE late_app LOGIN")
    init(owned("postgres"), "late_app", namespace="late")
    after = client("late_app", "late")
    assert after.get("/kept")[0] == b"1"
    for n in range(3):
        assert after.set_async("/kept", b"2").get(timeout=30).version == n + 1
    with pytest.raises(KazooException):  # which one depends on what it is at
        before.set("/kept", b"3")
    assert after.get("/kept")[0] == b"2"
    assert client("anybody", "others").exists("/zookeeper")


@pytest.mark.slow
def test_a_deployment_of_the_first_release_is_brought_up_to_date(server: PostgresServer) -> None:
    """Its roles use all that they used."""
    server.ask("CREATE DATABASE older")
    server.ask("CREATE ROLE old_app LOGIN")
    admin = server.url_of("postgres", database="older")
    grants = (
        "GRANT USAGE ON SCHEMA fk_kazoo TO old_app; GRANT SELECT ON ALL TABLES IN SCHEMA fk_kazoo TO old_app;"
        "GRANT INSERT, UPDATE, DELETE ON fk_kazoo.interest TO old_app;"
        "GRANT INSERT, DELETE ON fk_kazoo.parcel TO old_app;"
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA fk_kazoo TO old_app"
    )

    async def first(connection: Any) -> None:
        await connection.execute(schema.STEPS[0])
        await connection.execute("INSERT INTO fk_kazoo.format VALUES ($1, 1)", layout.FORMAT)
        await connection.execute(grants)

    try:
        asked(admin, first)
        assert init(admin) and not init(admin)
        zk = KazooClient(server.url_of("old_app", database="older"))
        zk.start(timeout=30)
        zk.create("/a", LARGE)
        assert zk.get("/a")[0] == LARGE
        zk.stop()
        zk.close()
    finally:
        server.ask("DROP DATABASE older WITH (FORCE)")


def test_what_can_be_no_namespace_or_is_of_nobody_is_refused(owned: Callable[[str], str]) -> None:
    for roles, namespace in ((["anybody"], "a:b"), ([], "orders"), (["anybody"], "a'b")):
        with pytest.raises(WrongUsage):
            init(owned("postgres"), *roles, namespace=namespace)


def test_a_role_of_none_and_a_role_of_two_are_told_so(server: PostgresServer, owned: Callable[[str], str]) -> None:
    server.ask("CREATE ROLE of_two LOGIN IN ROLE orders_app, bills_app")
    server.ask("CREATE ROLE of_one LOGIN IN ROLE orders_app")
    server.ask("CREATE ROLE of_none LOGIN")
    asyncio.run(_opened(owned("of_one")))
    for role, kind in (("of_two", DeploymentError), ("of_none", NoPermission)):
        with pytest.raises(kind):
            asyncio.run(_opened(owned(role)))


async def _opened(url: str) -> None:
    gateway = await postgres.connect(url.partition("://")[2], {})
    await gateway.close()
