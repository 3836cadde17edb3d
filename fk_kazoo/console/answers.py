"""What the page asks, answered through a connected client. Any thread; raises what kazoo and the commands raise."""

from __future__ import annotations

import base64
import collections
import threading
from typing import Any, Dict, List, Optional, Tuple

from kazoo.exceptions import NoAuthError, NoNodeError

from fk_backend.errors import BadUrl
from fk_kazoo.cli.formats import acl_text
from fk_kazoo.cli.locks import coordination
from fk_kazoo.cli.read import stat_fields, stats_of
from fk_kazoo.cli.sessions import sessions_of
from fk_kazoo.cli.target import Target
from fk_kazoo.moving.records import join

from .live import Live

PAGE = 200
"""Children in one answer."""
REMEMBERED = 8
"""Nodes whose sorted children are kept, so that the next page of 100,000 costs little."""
LOOKED_AT = 5000
"""Nodes in which locks and queues are searched for at one time."""


class Answers:
    """``write``: whether data may be changed."""

    def __init__(self, target: Target, client: Any, live: Live, write: bool) -> None:
        self._place = target
        self._client = client
        self._live = live
        self._write = write
        self._lock = threading.Lock()
        self._listed: "collections.OrderedDict[str, Tuple[int, List[str]]]" = collections.OrderedDict()

    def target(self) -> Dict[str, Any]:
        """What the page is about."""
        url = self._place.url
        return {
            "url": url,
            "write": self._write,
            "live": self._live.is_live,
            "state": str(self._client.state),
            "aws": url.lower().startswith("aws:"),
        }

    def children(self, path: str, after: str = "", prefix: str = "") -> Dict[str, Any]:
        """A page of them, by name: those after a name, that begin with a prefix. NoNodeError."""
        self._live.watch(path)  # before it is read: what changes in between is told of
        names = [name for name in self._names(path) if name.startswith(prefix)]
        left = [name for name in names if name > after] if after else names
        shown = left[:PAGE]
        stats = dict(stats_of(self._client, [join(path, name) for name in shown]))
        rows = []
        for name in shown:
            stat = stats.get(join(path, name))
            if stat is not None:
                rows.append(
                    {
                        "name": name,
                        "children": stat.numChildren,
                        "bytes": stat.dataLength,
                        "ephemeral": bool(stat.ephemeralOwner),
                    }
                )
        return {"children": rows, "more": len(left) > PAGE, "total": len(names), "last": shown[-1] if shown else ""}

    def _names(self, path: str) -> List[str]:
        stat = self._client.exists(path)
        if stat is None:
            raise NoNodeError(path)
        with self._lock:
            kept = self._listed.get(path)
        if kept is not None and kept[0] == stat.pzxid:
            return kept[1]
        names, listed = self._client.get_children(path, include_data=True)
        found = sorted(names)
        with self._lock:
            self._listed[path] = (listed.pzxid, found)
            self._listed.move_to_end(path)
            while len(self._listed) > REMEMBERED:
                self._listed.popitem(last=False)
        return found

    def node(self, path: str) -> Dict[str, Any]:
        """Data, Stat and ACL; an ACL that may not be read is null. NoNodeError, NoAuthError."""
        self._live.watch(path)
        data, stat = self._client.get(path)
        acl: Optional[List[str]]
        try:
            acl = [acl_text(one.perms, one.id.scheme, one.id.id) for one in self._client.get_acls(path)[0]]
        except NoAuthError:
            acl = None
        encoded = None if data is None else base64.b64encode(data).decode("ascii")
        session = "0x%x" % stat.ephemeralOwner if stat.ephemeralOwner else None
        return {"path": path, "base64": encoded, "stat": stat_fields(stat), "acl": acl, "session": session}

    def change(self, path: str, encoded: str, version: int) -> Dict[str, Any]:
        """Sets the data, if the node still has this version. BadVersionError, PermissionError."""
        if not self._write:
            raise PermissionError(1, "the console is read-only: start it with --write")
        stat = self._client.set(path, base64.b64decode(encoded, validate=True), version)
        return {"version": stat.version}

    def sessions(self) -> List[Dict[str, Any]]:
        """Who is connected, and what each owns."""
        return sessions_of(self._place)

    def locks(self, path: str) -> Dict[str, Any]:
        """Locks, elections and queues at and below a node; ``cut``: there are more nodes than were looked at."""
        return coordination(self._client, path, LOOKED_AT)._asdict()

    def cost(self) -> Dict[str, Any]:
        """Of this month so far, as CloudWatch counted. BackendError; none but AWS has one."""
        url = self._place.deployment
        if url.scheme != "aws":
            raise BadUrl("%s costs nothing by use" % url)
        from fk_kazoo.verify.usage import this_month

        return this_month(url.deployment, url.option("region"), url.option("endpoint_url"))
