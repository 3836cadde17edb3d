"""A deployment's sessions, what each owns, and its zxid, read from its store: no client is told of them."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Dict, List, NamedTuple, Optional, Type

from fk_backend import layout
from fk_backend.ports import SESSIONS
from fk_backend.writer.loading import load_head, partition_rows, partition_sorts
from fk_kazoo.admin_store import AdminStore

FROM = {"local": "this machine"}
"""Where every session of a provider is, if that can be said. Others do not tell: a session is a queue or a row."""


class Activity(NamedTuple):
    """Who is connected. ``holders``: sessions that own something, or did."""

    sessions: int
    holders: int


class DeploymentState(AdminStore):
    """What is in the store. A context manager."""

    def __enter__(self) -> "DeploymentState":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def zxid(self) -> int:
        """Of the last commit; 0 before the first."""
        head = self._wait(load_head(self._admin_ports.ports, self._url.namespace))
        return head.zxid if head else 0

    def activity(self) -> Activity:
        """At this moment."""
        return self._wait(self._activity())

    async def _activity(self) -> Activity:
        ports, ns = self._admin_ports.ports, self._url.namespace
        sessions = await partition_rows(ports, SESSIONS, layout.sessions_partition(ns))
        holders = await partition_sorts(ports, layout.holders_partition(ns))
        return Activity(len(sessions), sum(1 for name in holders if not name.startswith(layout.MEMORY)))

    def sessions(self) -> List[Dict[str, Any]]:
        """Each with what it owns."""
        return self._wait(self._sessions())

    async def _sessions(self) -> List[Dict[str, Any]]:
        found, ports, ns = [], self._admin_ports.ports, self._url.namespace
        for _, item in await partition_rows(ports, SESSIONS, layout.sessions_partition(ns)):
            session = layout.session_of(item)
            found.append(
                {
                    "session": "0x%x" % session.id,
                    "timeout_ms": session.timeout_ms,
                    "from": FROM.get(self._url.scheme),
                    "identities": [one.scheme + ":" + one.id.partition(":")[0] for one in session.identities],
                    "ephemerals": sorted(await partition_sorts(ports, layout.ephemerals_partition(ns, session.id))),
                }
            )
        return found
