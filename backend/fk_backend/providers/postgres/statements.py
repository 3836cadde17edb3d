"""The SQL of the store. Every statement is fixed and prepared: what is asked for is a parameter, always."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from ...ports import INTEREST, SESSIONS, TABLES, Put
from ..writes import Write
from .schema import CODES


class Sql(NamedTuple):
    """The statements of one table."""

    get: str
    several: str
    query: str
    query_to: str
    listing: str
    scan: str
    commit: str
    add: str
    purge: str


def _statements(table: str) -> Sql:
    name = "fk_kazoo." + table
    page = "SELECT sort, rev, body FROM %s WHERE part = $1 AND sort >= $2" % name
    return Sql(
        get="SELECT rev, body FROM %s WHERE part = $1 AND sort = $2" % name,
        several="SELECT n, rev, body FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS k (p, s, n) "
        "JOIN %s ON part = p AND sort = s" % name,
        query=page + " ORDER BY sort LIMIT $3",
        query_to=page + " AND sort < $3 ORDER BY sort LIMIT $4",
        # Sort keys as one value: a row for each takes most of the time. None of them has a zero byte.
        listing="(%s AND sort < $3 ORDER BY sort LIMIT $6) UNION ALL SELECT NULL, 0, string_agg(substr(sort, $7), "
        "'\\x00'::bytea) FROM (SELECT sort FROM %s WHERE part = $1 AND sort >= $4 AND sort < $5 ORDER BY sort "
        "LIMIT $6) AS names" % (page, name),
        scan="SELECT part, sort, rev, body FROM %s WHERE (part, sort) >= ($1, $2) ORDER BY part, sort LIMIT $3" % name,
        commit="SELECT fk_kazoo.%s($1, $2, $3, $4, $5, $6, $7, $8)" % ("note" if table == INTEREST else "commit"),
        add="SELECT fk_kazoo.add_%s($1, $2, $3)" % table,
        purge="DELETE FROM %s WHERE owner = $1 AND owner <> ''" % name,
    )


SQL: Dict[str, Sql] = {table: _statements(table) for table in TABLES}
LOAD = " UNION ALL ".join(
    f"SELECT n, rev, body FROM unnest(${at}::bytea[], ${at + 1}::bytea[], ${at + 2}::bigint[]) AS k (p, s, n) "
    f"JOIN fk_kazoo.{table} ON part = p AND sort = s"
    for at, table in zip((1, 4, 7), TABLES)
)
"""Keys of all tables, each with its place in what was asked."""
COMMIT_AND_NOTIFY = SQL[SESSIONS].commit + ", pg_notify($9, $10)"
"""In one transaction: who hears it sees the commit, and if nobody hears it there was nobody."""
COMMIT_AND_LOOK = (
    "CALL fk_kazoo.commit_and_look($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, NULL, NULL, NULL, NULL, NULL)"
)


def arguments(writes: Sequence[Write]) -> Tuple[List[Any], ...]:
    """A commit's arguments after the epoch. In the order of keys: so two that contend never wait for each other."""
    rows = []
    for write in sorted(writes, key=lambda write: write.key):
        table, partition, sort = write.key
        item, owner = (write.item, write.owner) if isinstance(write, Put) else ((None, b""), "")
        rows.append((CODES[table], partition.encode(), sort.encode(), item[0], write.expect, owner.encode(), item[1]))
    return tuple(map(list, zip(*rows)))
