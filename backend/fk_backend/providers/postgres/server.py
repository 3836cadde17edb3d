"""Whether a server can be used, found out at each connection: which one it is, what is in between, what it may lose."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple, Set

import asyncpg

from ...errors import DeploymentError, Unavailable
from .failures import DRIVER, at_connect
from .place import Place
from .schema import NEWS_CHANNEL, check

log = logging.getLogger(__name__)

OLDEST = 120_000
"""server_version_num of PostgreSQL 12."""
STANDBY, DISK = "standby", "disk"
"""What ``durability=`` may demand: that an answered write survives the primary's end, or that of its process."""
_POOLER = (
    "%s is a connection pooler in transaction mode, where LISTEN and advisory locks don't work: give the server's own "
    "address and port, or have the pooler use session mode for this database"
)
_warned: Set[str] = set()


class History(NamedTuple):
    """What one server's database has gone through: two connections of the same one see the same commits, in order."""

    identity: str
    """Of the cluster, the database, and the timeline, which is another one after each promotion and each restore."""
    keeps: bool
    """Whether what is answered is on a standby, too: then a promotion loses nothing of it."""


# A server that does not tell its timeline (Aurora has one storage for all of its servers) has one for ever.
_IDENTITY = (
    "SELECT (pg_control_system()).system_identifier::text || '.' || (SELECT oid::text FROM pg_database "
    "WHERE datname = current_database()) || '.' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
)


async def history(connection: Any) -> History:
    """That of a connection to a primary. What the driver raises if the connection is lost."""
    try:
        identity = await connection.fetchval(_IDENTITY)
    except asyncpg.PostgresError as error:
        if connection.is_closed():
            raise
        log.debug("which timeline it is is not told: %s", error)
        identity = "unknown"
    return History(identity, bool(await connection.fetchval("SHOW synchronous_standby_names")))


async def examine(connection: Any, place: Place) -> None:
    """Raises DeploymentError for what can't be used, Unavailable for a replica. Warns, once, of what could be lost."""
    try:
        version = await connection.fetchval("SELECT version()")
        if "CockroachDB" in version:
            raise DeploymentError("%s is CockroachDB, which has no LISTEN; use PostgreSQL" % place.shown)
        if int(await connection.fetchval("SHOW server_version_num")) < OLDEST:
            raise DeploymentError("%s: %s is too old; PostgreSQL 12 or later is needed" % (place.shown, version))
        if await connection.fetchval("SELECT pg_is_in_recovery()"):
            raise Unavailable("%s is a replica: reads and writes go to the primary" % place.shown)
        await _check_durability(connection, place)
        await check(connection, place.shown)
    except DRIVER as error:
        if getattr(error, "sqlstate", "") in ("26000", "42P05", "08P01"):
            raise DeploymentError(_POOLER % place.shown) from error
        raise at_connect(error, place.shown) from error


async def _check_durability(connection: Any, place: Place) -> None:
    fsync = await connection.fetchval("SHOW fsync") == "on"
    synchronous = bool(await connection.fetchval("SHOW synchronous_standby_names"))
    replicas = await connection.fetchval("SELECT count(*) FROM pg_stat_replication")
    if place.durability and not fsync:
        raise DeploymentError("%s has fsync=off: it loses answered writes in a power cut" % place.shown)
    if place.durability == STANDBY and not synchronous:
        raise DeploymentError(
            "%s has no synchronous standby (synchronous_standby_names is empty): durability=standby can't be had"
            % place.shown
        )
    risk = ""
    if not fsync:
        risk = "fsync=off, so a power cut may lose writes that were answered"
    elif replicas and not synchronous and place.durability != DISK:
        risk = "no synchronous standby, so a failover may lose writes that were answered; see durability= in the docs"
    if risk and place.shown not in _warned:
        _warned.add(place.shown)
        log.warning("%s has %s", place.shown, risk)


async def refuse_pooler(listener: Any, other: Any, place: Place) -> None:
    """DeploymentError where two connections share a server's, or one of them changes it: a pooler that is no good here.

    The other one keeps what it has while it is in a transaction, so the first one has to get another one.
    """
    try:
        was = await listener.fetchval("SELECT pg_backend_pid()")
        async with other.transaction():
            others = await other.fetchval("SELECT pg_backend_pid()")
            now = await listener.fetchval("SELECT pg_backend_pid()")
        await listener.execute("LISTEN %s" % NEWS_CHANNEL)
    except DRIVER as error:
        code = getattr(error, "sqlstate", "")
        if code in ("26000", "42P05", "08P01"):
            raise DeploymentError(_POOLER % place.shown) from error
        if code == "0A000":
            raise DeploymentError("%s has no LISTEN, which is needed: %s" % (place.shown, error)) from error
        raise at_connect(error, place.shown) from error
    if was != now or others == now:
        raise DeploymentError(_POOLER % place.shown)
