"""TEMP stub (replaced by the real one)."""
from __future__ import annotations

import sqlite3
from typing import Any

from ...errors import Conflict
from ...ports import INTEREST, Item, Key, Page, Put


class LocalStore:
    atomic_queries = True
    def __init__(self, place: Any, writable_state: bool) -> None:
        def op(path: str, sync: str) -> Any:
            c = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            c.execute("pragma journal_mode=wal"); c.execute("pragma synchronous="+sync)
            c.execute("create table if not exists items(tab text, part text, sort text, rev integer, body blob, owner text, primary key(tab,part,sort)) without rowid")
            return c
        self.s = op(place.state, "FULL"); self.i = op(place.interest, "NORMAL")
    def _c(self, table: str) -> Any: return self.i if table == INTEREST else self.s
    async def get(self, keys: Any) -> Any:
        c = self._c(keys[0].table); out = []
        c.execute("begin")
        for k in keys:
            r = c.execute("select rev, body from items where tab=? and part=? and sort=?", tuple(k)).fetchone()
            out.append(Item(*r) if r else None)
        c.execute("commit")
        return out
    async def query(self, table: Any, partition: Any, start: str = "", end: Any = None, limit: int = 1000) -> Any:
        q = "select sort, rev, body from items where tab=? and part=? and sort>=?"; a = [table, partition, start]
        if end is not None: q += " and sort<?"; a.append(end)
        rows = [(s, Item(r, b)) for s, r, b in self._c(table).execute(q + " order by sort limit ?", [*a, limit + 1])]
        return Page(rows[:limit], len(rows) > limit)
    async def commit(self, writes: Any) -> None:
        c = self._c(writes[0].key.table); c.execute("begin immediate")
        try:
            for w in writes:
                if w.expect is not None:
                    r = c.execute("select rev from items where tab=? and part=? and sort=?", tuple(w.key)).fetchone()
                    if (r[0] if r else 0) != w.expect: raise Conflict(str(w.key))
                if isinstance(w, Put): c.execute("insert or replace into items values(?,?,?,?,?,?)", (*w.key, *w.item, w.owner))
                else: c.execute("delete from items where tab=? and part=? and sort=?", tuple(w.key))
            c.execute("commit")
        except BaseException:
            c.execute("rollback"); raise
    async def increment(self, key: Any, by: int = 1) -> int:
        c = self._c(key.table)
        c.execute("begin immediate")
        c.execute("insert into items values(?,?,?,?,x'','') on conflict do update set rev=rev+excluded.rev", (*key, by))
        (r,) = c.execute("select rev from items where tab=? and part=? and sort=?", tuple(key)).fetchone(); c.execute("commit"); return r
    async def purge(self, table: Any, owner: str) -> int:
        return self._c(table).execute("delete from items where tab=? and owner=?", (table, owner)).rowcount
    async def scan(self, table: Any, prefix: str = "", after: Any = None, limit: int = 1000) -> Any:
        a = after or ("", "")
        return [(Key(table, p, s), Item(r, b)) for p, s, r, b in self._c(table).execute("select part, sort, rev, body from items where tab=? and substr(part,1,length(?))=? and (part,sort)>(?,?) order by part, sort limit ?", (table, prefix, prefix, *a, limit))]
    def close(self) -> None: self.s.close(); self.i.close()
    def abandon(self) -> None: pass
