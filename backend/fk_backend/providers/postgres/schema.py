"""What a deployment is in a database: the schema ``fk_kazoo``, made and brought up to date in one transaction.

Three tables keep the items, with keys as bytes: their order is that of UTF-8, whatever the locale, and bounds of
a query may hold a zero byte, which ``text`` refuses. ``parcel`` holds what is too large for a NOTIFY, for moments.
``writer`` has one row: the epoch of the elected writer, by which a commit of an earlier one is refused.

Who runs `make` owns it. A client's role reads, writes ``interest`` directly, and the other tables by ``commit`` and
``add`` alone, which run as the owner; some roles in one namespace only (own.py). Migrations go forward only: each is a
step of `STEPS`, noted in ``format``.
"""

from __future__ import annotations

from typing import Any, Sequence

from ...errors import NotADeployment, UnknownFormat
from ...layout import FORMAT, check_format
from ...ports import INTEREST, SESSIONS, STATE, TABLES
from . import own

SCHEMA = "fk_kazoo"
LOCKS = 0x666B7A6F
"""The first half of our advisory locks: "fkzo"."""
WRITER_LOCK, COMMITS_LOCK, MAKING_LOCK = 1, 2, 3
"""Held by a writer's session; by each commit, shared, and by who may not meet one; by who changes the schema."""
QUEUE_CHANNEL, NEWS_CHANNEL = own.QUEUE, own.NEWS
CONFLICT, DEPOSED = "FK001", "FK002"
"""SQLSTATEs of our own."""
PAYLOAD_BYTES = 7900
"""What fits a NOTIFY: less than 8000 bytes (https://www.postgresql.org/docs/current/sql-notify.html)."""
MOST_LOOKED = 1000
"""Registrations that come along with a commit, at most."""
FEW_LOOKED = 10
"""Up to so many are woken by the commit's own statement: each of them is told a second time, by what goes to all."""
CODES = {table: code for code, table in enumerate(TABLES)}

_TABLE = """
CREATE TABLE fk_kazoo.{table} (
    part bytea NOT NULL, sort bytea NOT NULL, rev bigint NOT NULL, owner bytea NOT NULL, body bytea NOT NULL,
    PRIMARY KEY (part, sort)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
"""

_WRITE = """
IF tables[i] = {code} THEN
    IF revs[i] IS NULL AND expects[i] IS NULL THEN
        DELETE FROM fk_kazoo.{table} WHERE part = parts[i] AND sort = sorts[i];
        held := true;
    ELSIF revs[i] IS NULL AND expects[i] = 0 THEN
        held := NOT EXISTS (SELECT FROM fk_kazoo.{table} WHERE part = parts[i] AND sort = sorts[i]);
    ELSIF revs[i] IS NULL THEN
        DELETE FROM fk_kazoo.{table} WHERE part = parts[i] AND sort = sorts[i] AND rev = expects[i];
        held := FOUND;
    ELSIF expects[i] IS NULL THEN
        INSERT INTO fk_kazoo.{table} VALUES (parts[i], sorts[i], revs[i], owners[i], bodies[i])
            ON CONFLICT (part, sort) DO UPDATE
            SET rev = excluded.rev, owner = excluded.owner, body = excluded.body;
        held := true;
    ELSIF expects[i] = 0 THEN
        INSERT INTO fk_kazoo.{table} VALUES (parts[i], sorts[i], revs[i], owners[i], bodies[i])
            ON CONFLICT (part, sort) DO NOTHING;
        held := FOUND;
    ELSE
        UPDATE fk_kazoo.{table} SET rev = revs[i], owner = owners[i], body = bodies[i]
            WHERE part = parts[i] AND sort = sorts[i] AND rev = expects[i];
        held := FOUND;
    END IF;
END IF;
"""

# The number of the write whose condition did not hold. While nothing is written, that is no error: servers log those.
_COMMIT = """
{create} FUNCTION fk_kazoo.{name}(by_epoch bigint, tables int[], parts bytea[], sorts bytea[], revs bigint[],
    expects bigint[], owners bytea[], bodies bytea[]) RETURNS int LANGUAGE plpgsql {security} AS $$
DECLARE
    i int;
    held boolean;
BEGIN
    {before}
    FOR i IN 1 .. cardinality(tables) LOOP
        held := false;
        {writes}
        IF NOT held AND i = 1 THEN
            RETURN i;
        ELSIF NOT held THEN
            RAISE EXCEPTION 'write % does not hold', i USING ERRCODE = '{conflict}';
        END IF;
    END LOOP;
    RETURN 0;
END $$;
"""

# Behind the lock, a statement of its own: it sees what was committed before the lock was had.
_FENCE = """
    PERFORM pg_advisory_xact_lock_shared({locks}, {commits});
    IF by_epoch IS NOT NULL AND NOT EXISTS (SELECT FROM fk_kazoo.writer WHERE epoch = by_epoch) THEN
        RAISE EXCEPTION 'epoch % is over', by_epoch USING ERRCODE = '{deposed}';
    END IF;
"""

# The same with roles that have namespaces of their own. A statement costs as much as a write; an expression does not.
_FENCE_OF_ROLES = """
    held := pg_advisory_xact_lock_shared({locks}, {commits}) IS NOT NULL;
    DECLARE
        is_current boolean;
        are_own boolean;
    BEGIN
        SELECT by_epoch IS NULL OR EXISTS (SELECT FROM fk_kazoo.writer WHERE epoch = by_epoch),
            EXISTS (SELECT FROM fk_kazoo.member WHERE ns <> '') INTO is_current, are_own;
        IF NOT is_current THEN
            RAISE EXCEPTION 'epoch % is over', by_epoch USING ERRCODE = '{deposed}';
        END IF;
        IF are_own THEN
            PERFORM fk_kazoo.refuse_others(parts);
        END IF;
    END;
"""

# Past 62 bits it counts from 0 again. What is counted in INTEREST need not wait for the disk: it only has to move.
_ADD = """
{create} FUNCTION fk_kazoo.add_{table}(at_part bytea, at_sort bytea, by bigint) RETURNS bigint LANGUAGE plpgsql
    {security} AS $$
DECLARE
    added bigint;
BEGIN
    {before}
    INSERT INTO fk_kazoo.{table} AS old VALUES (at_part, at_sort, by, '', '') ON CONFLICT (part, sort) DO UPDATE
        SET rev = excluded.rev + CASE WHEN abs(old.rev / 2) < 2305843009213693952 THEN old.rev ELSE 0 END
        RETURNING rev INTO added;
    RETURN added;
END $$;
"""

_MESSAGES = """
CREATE FUNCTION fk_kazoo.tell(channels text[], heads text[], bodies bytea[]) RETURNS void LANGUAGE plpgsql AS $$
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
            INSERT INTO fk_kazoo.parcel (body) VALUES (bodies[i]) RETURNING id INTO parcel_id;
            payload := heads[i] || ' @' || parcel_id;
        END IF;
        PERFORM pg_notify(channels[i], payload);
    END LOOP;
END $$;

CREATE FUNCTION fk_kazoo.standing(OUT epoch bigint, OUT vacant boolean) LANGUAGE sql AS $$
    SELECT epoch, pg_try_advisory_xact_lock_shared({locks}, {writer}) FROM fk_kazoo.writer
$$;

CREATE FUNCTION fk_kazoo.send(heads text[], bodies bytea[], OUT epoch bigint, OUT vacant boolean) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fk_kazoo.tell(array_fill('{queue}'::text, ARRAY[cardinality(heads)]), heads, bodies);
    SELECT standing.epoch, standing.vacant INTO epoch, vacant FROM fk_kazoo.standing();
END $$;

CREATE FUNCTION fk_kazoo.take_over(by_pid int) RETURNS bigint LANGUAGE plpgsql {definer} AS $$
DECLARE
    begun bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({locks}, {commits});
    UPDATE fk_kazoo.writer SET epoch = writer.epoch + 1, pid = by_pid RETURNING writer.epoch INTO begun;
    DELETE FROM fk_kazoo.parcel WHERE at < now() - interval '1 hour';
    RETURN begun;
END $$;
"""

# A procedure can end its transaction, so it looks behind the commit as a statement of its own would: who registered
# before others could see the commit is found, and woken at once if they are few. Whatever goes wrong behind the commit,
# it is committed. What is there where a write expects nothing is found before anything is written: no error, which
# servers log.
_COMMIT_AND_LOOK = """
CREATE PROCEDURE fk_kazoo.commit_and_look(by_epoch bigint, tables int[], parts bytea[], sorts bytea[], revs bigint[],
    expects bigint[], owners bytea[], bodies bytea[], looked bytea[], note text,
    INOUT broken int, INOUT has_looked boolean,
    INOUT found_parts bytea[], INOUT found_sorts bytea[], INOUT found_revs bigint[], INOUT found_bodies bytea[])
    LANGUAGE plpgsql AS $$
DECLARE
    i int;
BEGIN
    IF 0 = ANY (expects) THEN
        FOR i IN 2 .. cardinality(tables) LOOP
            IF expects[i] = 0 AND tables[i] = {state}
                AND EXISTS (SELECT FROM fk_kazoo.state WHERE part = parts[i] AND sort = sorts[i])
            THEN
                broken := i;
                RETURN;
            END IF;
        END LOOP;
    END IF;
    broken := fk_kazoo.commit(by_epoch, tables, parts, sorts, revs, expects, owners, bodies);
    IF broken <> 0 THEN
        RETURN;
    END IF;
    COMMIT;
    BEGIN
        has_looked := true;
        IF NOT EXISTS (SELECT FROM fk_kazoo.interest WHERE part = ANY (looked)) THEN  -- as a rule, and soon seen
            RETURN;
        END IF;
        SELECT array_agg(part), array_agg(sort), array_agg(rev), array_agg(body)
            INTO found_parts, found_sorts, found_revs, found_bodies
            FROM (SELECT part, sort, rev, body FROM fk_kazoo.interest WHERE part = ANY (looked)
                ORDER BY part, sort LIMIT {most} + 1) AS found;
        IF cardinality(found_sorts) <= {few} AND octet_length(note) <= {payload} THEN
            PERFORM pg_notify('fk_kazoo_' || left(encode(sha256(convert_to(inbox, 'UTF8')), 'hex'), 40), note)
                FROM (SELECT DISTINCT substring(encode(sort, 'escape') FROM '[A-Za-z0-9_-]+$') AS inbox
                    FROM unnest(found_sorts) AS registered (sort)) AS inboxes WHERE inbox IS NOT NULL;
        END IF;
    EXCEPTION WHEN OTHERS OR query_canceled THEN
        has_looked := false;
    END;
END $$;
REVOKE ALL ON ALL ROUTINES IN SCHEMA fk_kazoo FROM PUBLIC;
"""

_DEFINER = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"


def _first() -> str:
    """Everything, as the first step made it."""
    names = {"locks": LOCKS, "commits": COMMITS_LOCK, "writer": WRITER_LOCK, "queue": QUEUE_CHANNEL}
    fence = _FENCE.format(deposed=DEPOSED, **names)
    shared = "PERFORM pg_advisory_xact_lock_shared(%d, %d);" % (LOCKS, COMMITS_LOCK)
    late = "PERFORM set_config('synchronous_commit', 'off', true);"
    parts = [
        "CREATE SCHEMA fk_kazoo;",
        "CREATE TABLE fk_kazoo.format (version int NOT NULL, steps int NOT NULL);",
        "CREATE TABLE fk_kazoo.writer (epoch bigint NOT NULL, pid int NOT NULL);",
        "INSERT INTO fk_kazoo.writer VALUES (0, 0);",
        "CREATE UNLOGGED TABLE fk_kazoo.parcel (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        "body bytea NOT NULL, at timestamptz NOT NULL DEFAULT now());",
        *(_TABLE.format(table=table) for table in TABLES),
        "CREATE INDEX ON fk_kazoo.interest (owner) WHERE owner <> '';",
    ]
    parts += [_commit("CREATE", "commit", fence), _note()]
    parts += [_add("CREATE", table, late if table == INTEREST else shared) for table in TABLES]
    parts.append(_MESSAGES.format(payload=PAYLOAD_BYTES, definer=_DEFINER, **names))
    parts.append("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA fk_kazoo FROM PUBLIC;")
    return "\n".join(parts)


def _commit(create: str, name: str, before: str) -> str:
    """The function of STATE and SESSIONS, which runs as the owner."""
    writes = "".join(_WRITE.format(code=CODES[table], table=table) for table in (STATE, SESSIONS))
    words = {"create": create, "name": name, "security": _DEFINER, "conflict": CONFLICT}
    return _COMMIT.format(before=before, writes=writes, **words)


def _note() -> str:
    """The one of INTEREST, which runs as who calls it."""
    writes = _WRITE.format(code=CODES[INTEREST], table=INTEREST)
    words = {"create": "CREATE", "name": "note", "security": "", "conflict": CONFLICT}
    return _COMMIT.format(before="", writes=writes, **words)


def _add(create: str, table: str, before: str) -> str:
    """The counters' function of a table."""
    security = "" if table == INTEREST else _DEFINER
    return _ADD.format(create=create, table=table, security=security, before=before)


def _second() -> str:
    """Namespaces of roles of their own."""
    names = {"locks": LOCKS, "commits": COMMITS_LOCK, "writer": WRITER_LOCK, "queue": QUEUE_CHANNEL}
    fence = _FENCE_OF_ROLES.format(deposed=DEPOSED, **names)
    shared = "PERFORM pg_advisory_xact_lock_shared(%d, %d);" % (LOCKS, COMMITS_LOCK)
    parts = [
        own.TABLES.format(news=NEWS_CHANNEL, **names),
        own.FUNCTIONS.format(definer=_DEFINER, prefix=own.PREFIX),
        own.MESSAGES.format(payload=PAYLOAD_BYTES, definer=_DEFINER, mine=own.MINE, **names),
        _commit("CREATE OR REPLACE", "commit", fence),
    ]
    for table in (STATE, SESSIONS):
        parts.append(_add("CREATE OR REPLACE", table, shared + "\n    PERFORM fk_kazoo.refuse_others(ARRAY[at_part]);"))
    parts.append("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA fk_kazoo FROM PUBLIC;")
    return "\n".join(parts)


_LOOKED = {"most": MOST_LOOKED, "few": FEW_LOOKED, "payload": PAYLOAD_BYTES, "state": CODES[STATE]}
STEPS = (_first(), _second(), _COMMIT_AND_LOOK.format(**_LOOKED))
"""What each release has added. A step is never changed after it was released."""


async def check(connection: Any, place: str) -> None:
    """Whether the deployment is there, and one that this version can use. NotADeployment, UnknownFormat."""
    if not await connection.fetchval("SELECT to_regclass('fk_kazoo.format') IS NOT NULL"):
        raise NotADeployment("%s was never set up; run: fk-kazoo init URL" % place)
    version, steps = await connection.fetchrow("SELECT version, steps FROM fk_kazoo.format")
    check_format(place, version)
    if steps > len(STEPS):
        raise UnknownFormat("%s was set up by a later version; upgrade fk_kazoo" % place)
    if steps < len(STEPS):
        raise NotADeployment("%s was set up by an earlier version; run: fk-kazoo init URL" % place)


async def make(connection: Any, place: str, roles: Sequence[str], namespace: str = own.EVERYTHING_ELSE) -> bool:
    """Makes the deployment, or brings it up to date, and lets these roles use it. Whether anything was made.

    ``namespace``: the roles' own one. As one transaction, and one at a time. UnknownFormat where a later version made
    it; WrongUsage for what can't be a namespace.
    """
    async with connection.transaction():
        for lock in (MAKING_LOCK, COMMITS_LOCK):
            await connection.execute("SELECT pg_advisory_xact_lock(%d, %d)" % (LOCKS, lock))
        there = await connection.fetchval("SELECT to_regclass('fk_kazoo.format') IS NOT NULL")
        done = 0
        if there:
            version, done = await connection.fetchrow("SELECT version, steps FROM fk_kazoo.format")
            check_format(place, version)
            if done > len(STEPS):
                raise UnknownFormat("%s was set up by a later version; upgrade fk_kazoo" % place)
        for step in STEPS[done:]:
            await connection.execute(step)
        if done < len(STEPS):
            await connection.execute("DELETE FROM fk_kazoo.format")
            await connection.execute("INSERT INTO fk_kazoo.format VALUES ($1, $2)", FORMAT, len(STEPS))
        await own.admit(connection, roles, namespace)
        if roles or done < len(STEPS):
            await own.secure(connection)
            await own.hide(connection)
    return done < len(STEPS)
