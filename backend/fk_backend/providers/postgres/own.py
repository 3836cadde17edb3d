"""Roles with namespaces of their own: row security shows such a role nothing else, and nobody else these.

Who may use what is in ``member``. What a role reads and writes by itself is told apart by policies, which PostgreSQL
checks for the role at hand; what the functions write, which run as the owner, by ``refuse_others``, for the role that
has logged in. Such a namespace has a queue, a writer and parcels of its own, and a queue's name that nobody can guess:
NOTIFY knows no permissions. The owner reads everything, and every other role all but these namespaces.
"""

from __future__ import annotations

import secrets
from typing import Any, Dict, List, Sequence

from ...errors import WrongUsage
from ...layout import RESTORING, is_namespace
from ...ports import INTEREST, SESSIONS, STATE

QUEUE, NEWS = "fk_kazoo_queue", "fk_kazoo_news"
"""Channels' names before they are hidden."""
EVERYTHING_ELSE = ""
"""As a namespace: all that are no role's own."""

# By what separates the namespace from the rest of a partition's key (layout.py).
PREFIX = "substring(part FROM 1 FOR position(':'::bytea IN part))"

TABLES = """
CREATE TABLE fk_kazoo.member (role name PRIMARY KEY, ns text NOT NULL);
INSERT INTO fk_kazoo.member SELECT DISTINCT pg_get_userbyid(grantee), '' FROM pg_class, aclexplode(relacl)
    WHERE pg_class.oid = 'fk_kazoo.state'::regclass AND grantee <> relowner AND grantee <> 0;
ALTER TABLE fk_kazoo.parcel ADD COLUMN ns text NOT NULL DEFAULT '';
ALTER TABLE fk_kazoo.writer ADD COLUMN ns text NOT NULL DEFAULT '' UNIQUE,
    ADD COLUMN lock int NOT NULL DEFAULT {writer},
    ADD COLUMN queue text NOT NULL DEFAULT '{queue}', ADD COLUMN news text NOT NULL DEFAULT '{news}';
"""

# What a role sees of the writers is its own one; the owner, who sees all, is served by everybody's.
MINE = 'fk_kazoo.writer ORDER BY ns COLLATE "C" LIMIT 1'

FUNCTIONS = """
CREATE FUNCTION fk_kazoo.mine() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN pg_has_role(session_user, current_user, 'MEMBER') THEN '' ELSE (
        SELECT min(ns COLLATE "C") FROM fk_kazoo.member JOIN pg_roles ON rolname = role
        WHERE pg_has_role(session_user, pg_roles.oid, 'USAGE')) END
$$;

CREATE FUNCTION fk_kazoo.is_own(asked text) RETURNS boolean LANGUAGE sql STABLE {definer} AS $$
    SELECT EXISTS (SELECT FROM fk_kazoo.member WHERE ns = asked AND ns <> '')
$$;

CREATE FUNCTION fk_kazoo.refuse_others(parts bytea[]) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    others bytea[] := ARRAY(SELECT DISTINCT convert_to(ns || ':', 'UTF8') FROM fk_kazoo.member WHERE ns <> '');
    mine text;
BEGIN
    IF cardinality(others) = 0 OR pg_has_role(session_user, current_user, 'MEMBER') THEN
        RETURN;
    END IF;
    mine := fk_kazoo.mine();
    IF mine IS NULL OR EXISTS (
        SELECT FROM unnest(parts) AS asked (part) WHERE CASE WHEN mine = '' THEN {prefix} = ANY (others)
            ELSE {prefix} <> convert_to(mine || ':', 'UTF8') END
    ) THEN
        RAISE EXCEPTION 'the namespace is not one of the role %', session_user USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;
"""

MESSAGES = """
CREATE OR REPLACE FUNCTION fk_kazoo.tell(channels text[], heads text[], bodies bytea[]) RETURNS void LANGUAGE plpgsql
    AS $$
DECLARE
    i int;
    parcel_id bigint;
    payload text;
BEGIN
    FOR i IN 1 .. cardinality(channels) LOOP
        IF octet_length(bodies[i]) * 4 / 3 + octet_length(heads[i]) + 8 <= {payload} THEN
            payload := heads[i] || ' ' || translate(encode(bodies[i], 'base64'), E'\\n', '');
        ELSE
            PERFORM set_config('synchronous_commit', 'off', true);
            INSERT INTO fk_kazoo.parcel (body, ns) SELECT bodies[i], ns FROM {mine} RETURNING id INTO parcel_id;
            payload := heads[i] || ' @' || parcel_id;
        END IF;
        PERFORM pg_notify(channels[i], payload);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION fk_kazoo.standing(OUT epoch bigint, OUT vacant boolean) LANGUAGE sql AS $$
    SELECT epoch, pg_try_advisory_xact_lock_shared({locks}, lock) FROM (SELECT epoch, lock FROM {mine}) AS writer
$$;

CREATE OR REPLACE FUNCTION fk_kazoo.send(heads text[], bodies bytea[], OUT epoch bigint, OUT vacant boolean)
    LANGUAGE plpgsql AS $$
DECLARE
    to_queue text := (SELECT queue FROM {mine});
BEGIN
    PERFORM fk_kazoo.tell(array_fill(to_queue, ARRAY[cardinality(heads)]), heads, bodies);
    SELECT standing.epoch, standing.vacant INTO epoch, vacant FROM fk_kazoo.standing();
END $$;

CREATE OR REPLACE FUNCTION fk_kazoo.take_over(by_pid int) RETURNS bigint LANGUAGE plpgsql {definer} AS $$
DECLARE
    begun bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({locks}, {commits});
    UPDATE fk_kazoo.writer SET epoch = (SELECT max(epoch) + 1 FROM fk_kazoo.writer), pid = by_pid
        WHERE ns = fk_kazoo.mine() RETURNING writer.epoch INTO begun;
    DELETE FROM fk_kazoo.parcel WHERE at < now() - interval '1 hour';
    RETURN begun;
END $$;
"""

_GRANTS = """
GRANT USAGE ON SCHEMA fk_kazoo TO {role};
GRANT SELECT ON fk_kazoo.state, fk_kazoo.sessions, fk_kazoo.interest, fk_kazoo.parcel, fk_kazoo.writer, fk_kazoo.format
    TO {role};
GRANT INSERT, UPDATE, DELETE ON fk_kazoo.interest TO {role};
GRANT INSERT, DELETE ON fk_kazoo.parcel TO {role};
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA fk_kazoo TO {role};
"""
_MEMBER = (
    "INSERT INTO fk_kazoo.member VALUES ($1, $2) ON CONFLICT (role) DO UPDATE SET ns = excluded.ns "
    "WHERE member.ns <> excluded.ns"
)
_WRITER = (
    "INSERT INTO fk_kazoo.writer (epoch, pid, ns, lock) SELECT 0, 0, $1, greatest(max(lock), $2) + 1 "
    "FROM fk_kazoo.writer ON CONFLICT (ns) DO NOTHING"
)
_DEPOSE = "UPDATE fk_kazoo.writer SET epoch = (SELECT max(epoch) + 1 FROM fk_kazoo.writer) WHERE ns = ''"
"""Whoever wrote for the namespace finds out that it is no writer any more; the next one knows whose it is."""
_KNOWN = "SELECT ns FROM fk_kazoo.writer WHERE queue = $1"
_HIDDEN = "UPDATE fk_kazoo.writer SET queue = $2, news = $3 WHERE ns = $1"
LAST_LOCK = 100
"""Those of our own advisory locks that are for something else are below."""
_GONE = "DELETE FROM fk_kazoo.member WHERE role NOT IN (SELECT rolname FROM pg_roles)"
_POLICIES = "SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'fk_kazoo'"
_ROLES = "SELECT ns, array_agg(quote_ident(role)) FROM fk_kazoo.member GROUP BY ns ORDER BY ns"


async def admit(connection: Any, roles: Sequence[str], namespace: str) -> None:
    """Lets roles use one namespace, or `EVERYTHING_ELSE`. What they could use before is none of theirs any more."""
    if namespace and not is_namespace(namespace):
        raise WrongUsage("%r can't be a namespace's name" % namespace)
    if namespace and not roles:
        raise WrongUsage("--namespace is for roles: say which, by --role")
    if namespace and await connection.execute(_WRITER, namespace, LAST_LOCK) != "INSERT 0 0":
        await connection.execute(_DEPOSE)
    for role in roles:
        await connection.execute(_MEMBER, role, namespace)


async def hide(connection: Any) -> None:
    """Gives channels names that nobody can guess, where they still have those that everybody knows."""
    for ns in [row[0] for row in await connection.fetch(_KNOWN, QUEUE)]:
        names = ["fk_kazoo_%s_%s" % (what, secrets.token_hex(16)) for what in ("queue", "news")]
        await connection.execute(_HIDDEN, ns, *names)


async def secure(connection: Any) -> None:
    """Has the policies be as ``member`` says. Each of them is fixed, so that a plan is made of it once."""
    await connection.execute(_GONE)
    for table, name in await connection.fetch(_POLICIES):
        await connection.execute('DROP POLICY "%s" ON fk_kazoo.%s' % (name, table))
    found: Dict[str, List[str]] = dict(await connection.fetch(_ROLES))
    for role in [role for roles in found.values() for role in roles]:
        await connection.execute(_GRANTS.format(role=role))
    own = [ns for ns in found if ns != EVERYTHING_ELSE]
    for table in (STATE, SESSIONS, INTEREST, "parcel", "writer"):
        await connection.execute("ALTER TABLE fk_kazoo.%s ENABLE ROW LEVEL SECURITY" % table)
        for ns, roles in found.items():
            rows = "ns = '%s'" % ns if table in ("parcel", "writer") else _rows(table, ns, own)
            kind = "ALL" if table in (INTEREST, "parcel") else "SELECT"
            policy = 'CREATE POLICY "%s" ON fk_kazoo.%s FOR %s TO %s USING (%s)'
            await connection.execute(policy % ("of " + (ns or "the rest"), table, kind, ", ".join(roles), rows))


def _rows(table: str, ns: str, own: List[str]) -> str:
    """The condition for a row to be of that namespace; names of namespaces have no quotes in them."""
    if ns == EVERYTHING_ELSE:
        others = ", ".join("'%s:'::bytea" % each for each in own)
        return "%s <> ALL (ARRAY[%s])" % (PREFIX, others) if own else "true"
    rows = "part >= '%s:'::bytea AND part < '%s;'::bytea" % (ns, ns)
    return "%s OR part = '%s'" % (rows, RESTORING.partition) if table == RESTORING.table else rows
