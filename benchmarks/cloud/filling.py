"""Surroundings that are written straight into the emulator's tables, in the stored form.

Rule upheld here: what is there afterwards is what the functions would have left; `tests/benchmarks` has a client look
at it. The writer is told as by another writer: the head is moved, so what it knew of the namespace it reads again.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
from typing import Any, Dict, Iterable, Iterator, List, Sequence

from fk_backend import layout
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Family, Node, Session
from fk_backend.layout import Head
from fk_backend.ports import SESSIONS, TABLES, Item, Key, Put
from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev.resources import Account

from .units import Tables, size_of

AT_ONCE = 10_000
NOW_MS = 1_700_000_000_000


class Filling:
    """Of the tables of one deployment."""

    def __init__(self, account: Account, tables: Tables) -> None:
        """``tables``: what knows the items that later requests will touch."""
        self._account = account
        self._tables = tables
        self._connection = http.client.HTTPConnection(account.endpoint_url.rpartition("/")[2], timeout=120)
        scope = "%s/20260101/%s/dynamodb/aws4_request" % (account.number, account.region)
        self._headers = {
            "X-Amz-Target": "DynamoDB_20120810.Fill",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": "AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=host, Signature=00" % scope,
        }

    def put(self, puts: Iterable[Put], known: bool = False) -> None:
        """Writes items. ``known``: those that requests will touch."""
        waiting: List[Put] = []
        for put in puts:
            waiting.append(put)
            if len(waiting) == AT_ONCE:
                self._put(waiting, known)
                waiting.clear()
        self._put(waiting, known)

    def _put(self, puts: Sequence[Put], known: bool) -> None:
        for which in {put.key.table for put in puts}:
            table = names.table(self._account.name, which)
            rows = [
                (*put.key[1:], put.item.rev, base64.b64encode(put.item.body).decode(), put.owner)
                for put in puts
                if put.key.table == which
            ]
            self._connection.close()  # the emulator closes what was idle
            self._connection.request("POST", "/", json.dumps({"table": table, "rows": rows}), self._headers)
            answer = self._connection.getresponse()
            said = answer.read()
            assert answer.status == 200 and json.loads(said)["Filled"] == len(rows), said
            for partition, sort, rev, body, owner in rows if known else ():
                row: Dict[str, Any] = {"p": {"S": partition}, "s": {"S": sort}, "r": {"N": str(rev)}}
                row.update(**({"b": {"B": body}} if body else {}), **({"o": {"S": owner}} if owner else {}))
                self._tables.note(table, row)

    def head(self, ns: str) -> Head:
        """Of a namespace that somebody wrote to."""
        key = layout.head_key(ns)
        table = names.table(self._account.name, key.table)
        row = self._account.client("dynamodb").get_item(
            TableName=table, Key={"p": {"S": key.partition}, "s": {"S": key.sort}}, ConsistentRead=True
        )["Item"]
        return layout.head_of(Item(int(row["r"]["N"]), bytes(row["b"]["B"])))

    def moved(self, ns: str) -> int:
        """Moves the head by one, as by a writer that told everybody; the zxid of that."""
        head = self.head(ns)
        zxid = head.zxid + 1
        after = head._replace(
            zxid=zxid,
            confirmed=zxid,
            since=zxid,
            triggers=(),
            answers=(),
            ended=(),
            moved=(),
            reserved=None,
            garbage=(),
        )
        self.put([Put(layout.head_key(ns), layout.head_item(after))], known=True)
        return zxid


def children(ns: str, parent: str, count: int, zxid: int, parent_rev: int) -> Iterator[Put]:
    """Of a node that had none, and was written as ``parent_rev``: entries, nodes, and the family."""
    body = layout.node_item(leaf(zxid), zxid, 0)
    for number in range(count):
        path = "%s/a-name-of-20-%07d" % (parent, number)
        yield Put(layout.child_key(ns, path), Item(zxid, b""))
        yield Put(layout.node_keys(ns, path)[0], body)
    family = layout.family_item(Family(count, zxid, count), zxid, parent_rev)
    yield Put(layout.node_keys(ns, parent)[1], family)


def leaf(zxid: int) -> Node:
    """A node without data."""
    return Node(zxid, zxid, NOW_MS, NOW_MS, 0, 0, 0, OPEN_ACL, b"")


def owners(ns: str, parent: str, count: int, zxid: int, parent_rev: int) -> Iterator[Put]:
    """Sessions, each with an ephemeral child of a node and a counter that has moved."""
    yield from children(ns, parent, count, zxid, parent_rev)
    for number in range(count):
        session = (1 << 40) + number
        path = "%s/a-name-of-20-%07d" % (parent, number)
        owned = leaf(zxid)._replace(owner=session)
        yield Put(layout.node_keys(ns, path)[0], layout.node_item(owned, zxid, 0))
        kept = Session(session, bytes(32), 3_600_000, (), secrets.token_hex(16))
        yield Put(layout.session_key(ns, session), layout.session_item(kept, zxid))
        yield Put(Key(SESSIONS, layout.ephemerals_partition(ns, session), path), Item(zxid, b""))
        yield Put(layout.holder_key(ns, session), layout.holder_item(kept, zxid))
        yield Put(layout.beat_key(ns, session), Item(1, b""))


def watched(ns: str, path: str, inboxes: Sequence[str]) -> Iterator[Put]:
    """Registrations for a node's data."""
    for number, inbox in enumerate(inboxes):
        yield Put(layout.registration_key(ns, path, watches.DATA, inbox), Item(number + 1, b""), owner=inbox)


def make_inboxes(account: Account, inboxes: Sequence[str]) -> None:
    """Their queues."""
    queues = account.client("sqs")
    for inbox in inboxes:
        queues.create_queue(QueueName=names.inbox_queue(account.name, inbox))


def kept(account: Account, prefix: str, tables: Sequence[str] = TABLES) -> List[float]:
    """Items in partitions that begin like that, and their bytes, by scanning."""
    client = account.client("dynamodb")
    sizes = []
    for which in tables:
        for page in client.get_paginator("scan").paginate(TableName=names.table(account.name, which)):
            sizes += [size_of(row) for row in page["Items"] if row["p"]["S"].startswith(prefix)]
    return [len(sizes), sum(sizes)]
